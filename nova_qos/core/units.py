# SPDX-License-Identifier: Apache-2.0
"""Units: quantities as people write them, as the API shows them, and as the host holds them."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal

from nova_qos.core import errors

KIB_PER_MIB = 1024
#: What the API and the host say where nothing limits a server.
UNLIMITED = -1

_QUANTITY = re.compile(r"(-?\d{1,15}(?:\.\d{1,6})?)\s*([A-Za-z/]{0,6})", re.ASCII)


@dataclass(frozen=True)
class Suffixes:
    """How people may write a quantity: with one of the units of ``factors``, in capitals, each with
    how many of the API's unit it is; "" where they write none.

    ``kind`` is what such a quantity is called, ``unit`` the API's unit, ``examples`` are some of
    them.
    """

    kind: str
    unit: str
    factors: Mapping[str, int]
    examples: str

    def parse(self, text: str) -> int:
        """The quantity that a person wrote, in the API's unit. A plain -1 stands for "no limit" and
        is passed through.

        :raises InvalidSetting: no quantity, an unknown unit, or not a whole number
        """
        match = _QUANTITY.fullmatch(text.strip())
        factor = self.factors.get(match[2].upper()) if match else None
        if match is None or factor is None:
            raise errors.InvalidSetting(
                f"{text!r} is not a {self.kind}; write {self.unit} or a unit, like "
                f"{self.examples}")
        number = Decimal(match[1]) * factor
        if number % 1:
            raise errors.InvalidSetting(f"{text!r} is not a whole number of {self.unit}")
        return int(number)


def _binary(least: str, others: str) -> dict[str, int]:
    """Powers of 1024 from the API's unit on; "512M", "512MB" and "512MiB" are the same, as in qemu
    and libvirt."""
    factors = {"": 1}
    for power, letter in enumerate(least + others):
        factors |= dict.fromkeys((letter, f"{letter}B", f"{letter}IB"), 1024**power)
    return factors


_SIZE = Suffixes("size", "MiB", _binary("M", "GT"), "512, 512M, 1G or 1.5GiB")


@dataclass(frozen=True)
class Unit:
    """What a number of a resource counts.

    ``name`` is the API's unit, ``host_name`` the host's, of which ``scale`` make one. ``suffixes``:
    how people may write it; None = as a plain number. ``alike(applied)`` is the least and the most
    of the values that some host holds as ``applied``; None where every host's scale is exact.
    ``base`` is the base unit that metrics have, as their names say it, and how many of it are one
    of the API's unit.
    """

    name: str
    host_name: str
    scale: int = 1
    suffixes: Suffixes | None = None
    alike: Callable[[int], tuple[int, int]] | None = None
    base: tuple[str, float] = ("", 1)

    def to_host(self, value: int) -> int:
        """A value of the API in the host's unit; ``UNLIMITED`` stays."""
        return value if value == UNLIMITED else value * self.scale

    def from_host(self, value: int | None) -> int | float | None:
        """A value of the host in the API's unit; a fraction only where the host holds one."""
        if value is None or value == UNLIMITED:
            return value
        return value // self.scale if value % self.scale == 0 else round(value / self.scale, 3)

    def holds(self, applied: float | None, value: int) -> bool:
        """Whether the value may be held where ``applied`` is read, both in the API's unit.

        This is for those who do not know the host's scale; a ``Reading`` knows its own.
        """
        if self.alike is not None and isinstance(applied, int):
            least, most = self.alike(applied)
            return least <= value <= most
        return applied == value

    def parse(self, text: str) -> int:
        """The number that a person wrote, in the API's unit.

        :raises InvalidSetting: it is no such number
        """
        if self.suffixes is not None:
            return self.suffixes.parse(text)
        try:
            return int(text)
        except ValueError as error:
            raise errors.InvalidSetting(f"{text!r} is not a whole number") from error


_BYTES = ("bytes", 2.0**20)
MIB = Unit("MiB", "KiB", KIB_PER_MIB, suffixes=_SIZE, base=_BYTES)
#: Where the host holds MiB, too.
MIB_ON_HOST = Unit("MiB", "MiB", suffixes=_SIZE, base=_BYTES)
KIB_PER_S = Unit("KiB/s", "KiB/s", suffixes=Suffixes(
    "rate", "KiB/s", _binary("K", "MGT"), "8192, 8M or 1.5GiB"), base=("bytes_per_second", 1024))
_KBIT = {f"{letter}{unit}": 1000**power for power, letter in enumerate("KMG")
         for unit in ("", "BIT", "BIT/S")}
#: A thousand bits in a second.
KBIT_PER_S = Unit("kbit/s", "kbit/s", suffixes=Suffixes(
    "rate", "kbit/s", {"": 1, **_KBIT}, "5000, 5M or 1.5Gbit/s"), base=("bytes_per_second", 125))
