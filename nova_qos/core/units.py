# SPDX-License-Identifier: Apache-2.0
"""Units: quantities as people write them, as the API shows them, and as the host holds them."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal

from nova_qos.core import errors

KIB_PER_MIB = 1024
#: What the API and the host say where nothing limits a server.
UNLIMITED = -1

#: MiB in one of each unit; "512" and "512M" are the same, as in qemu and libvirt.
_MIB = {"": 1, "M": 1, "MB": 1, "MIB": 1, "G": 1024, "GB": 1024, "GIB": 1024, "T": 1024 * 1024,
        "TB": 1024 * 1024, "TIB": 1024 * 1024}
_SIZE = re.compile(r"(-?\d{1,15}(?:\.\d{1,6})?)\s*([A-Za-z]{0,3})", re.ASCII)


def parse_size_mib(text: str) -> int:
    """The size in MiB that a person wrote: "512", "512M", "1G" or "1.5GiB".

    All units are powers of two. A plain -1 stands for "no limit" and is passed through.

    :raises InvalidSetting: no size, an unknown unit, or not a whole number of MiB
    """
    match = _SIZE.fullmatch(text.strip())
    factor = _MIB.get(match[2].upper()) if match else None
    if match is None or factor is None:
        raise errors.InvalidSetting(
            f"{text!r} is not a size; write MiB or a unit, like 512, 512M, 1G or 1.5GiB")
    mib = Decimal(match[1]) * factor
    if mib % 1:
        raise errors.InvalidSetting(f"{text!r} is not a whole number of MiB")
    return int(mib)


@dataclass(frozen=True)
class Unit:
    """What a number of a resource counts.

    ``name`` is the API's unit, ``host_name`` the host's, of which ``scale`` make one. ``is_size``:
    people may write it with a suffix, like 1.5GiB. ``alike(applied)`` is the least and the most of
    the values that some host holds as ``applied``; None where every host's scale is exact.
    """

    name: str
    host_name: str
    scale: int = 1
    is_size: bool = False
    alike: Callable[[int], tuple[int, int]] | None = None

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
        if self.is_size:
            return parse_size_mib(text)
        try:
            return int(text)
        except ValueError as error:
            raise errors.InvalidSetting(f"{text!r} is not a whole number") from error


MIB = Unit("MiB", "KiB", KIB_PER_MIB, is_size=True)
