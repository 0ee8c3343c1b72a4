# SPDX-License-Identifier: Apache-2.0
"""The kinds of values that resources take: numbers and switches."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from nova_qos.core import errors
from nova_qos.core.server import Flavor
from nova_qos.core.units import Unit

Schema = dict[str, object]


class Value(Protocol):
    """What kind of value a resource takes. Inside, every value is an integer."""

    @property
    def schema(self) -> Schema:
        """The JSON schema of a value in a request, without its range."""

    def range_of(self, flavor: Flavor) -> tuple[int, int]:
        """The least and the most for a server of this flavor."""

    @property
    def widest(self) -> tuple[int, int]:
        """The least and the most for a server of any flavor."""

    def in_words(self, flavor: Flavor | None) -> str:
        """The range in words; without a flavor, for every flavor."""

    def read(self, value: object) -> int | None:
        """The integer that a value in a request stands for; None where it stands for none."""

    def is_reset(self, number: int) -> bool:
        """Whether this number asks for no setting."""

    def shown(self, number: float | None) -> object:
        """A number, in the API's unit, as the API shows it."""

    def parse(self, text: str, unit: Unit) -> int:
        """The value that a person wrote, as a request has it.

        :raises InvalidSetting: it is none
        """


@dataclass(frozen=True)
class FlavorMaximum:
    """The most that a flavor allows, and that in words."""

    of: Callable[[Flavor], int]
    words: str


@dataclass(frozen=True)
class Number:
    """An integer from ``minimum`` to ``maximum``, or to what the flavor allows.

    ``reset`` is the number that, when requested, means "no setting". ``lowest_wins``: the smallest
    number gives the most.
    """

    minimum: int
    maximum: int
    flavor_maximum: FlavorMaximum | None = None
    reset: int | None = None
    lowest_wins: bool = False

    @property
    def schema(self) -> Schema:
        return {"type": ["integer", "string"], "pattern": "^-?[0-9]{1,15}$"}

    def range_of(self, flavor: Flavor) -> tuple[int, int]:
        most = self.flavor_maximum
        return self.minimum, most.of(flavor) if most else self.maximum

    @property
    def widest(self) -> tuple[int, int]:
        return self.minimum, self.maximum

    def in_words(self, flavor: Flavor | None) -> str:
        least = f"{self.minimum} (highest)" if self.lowest_wins else str(self.minimum)
        reset = "" if self.reset is None else f", or {self.reset} to lift it"
        return f"{least} to {self._most_in_words(flavor)}{reset}"

    def _most_in_words(self, flavor: Flavor | None) -> str:
        most = self.flavor_maximum
        if most is None:
            return str(self.maximum)
        return f"{most.of(flavor)} ({most.words})" if flavor else most.words

    def read(self, value: object) -> int | None:
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if isinstance(value, str) and len(value) < 20 and value.isascii():
            value = int(value) if value.removeprefix("-").isdigit() else value
        return value if isinstance(value, int) and not isinstance(value, bool) else None

    def is_reset(self, number: int) -> bool:
        return number == self.reset

    def shown(self, number: float | None) -> object:
        return number

    def parse(self, text: str, unit: Unit) -> int:
        return unit.parse(text)


@dataclass(frozen=True)
class Switch:
    """On or off: 1 or 0 inside, true or false in the API."""

    @property
    def schema(self) -> Schema:
        return {"type": ["boolean", "string"], "pattern": "^(on|off)$"}

    def range_of(self, flavor: Flavor) -> tuple[int, int]:
        return 0, 1

    @property
    def widest(self) -> tuple[int, int]:
        return 0, 1

    def in_words(self, flavor: Flavor | None) -> str:
        return "on or off"

    def read(self, value: object) -> int | None:
        if isinstance(value, int) and value in (0, 1):
            # a number comes from the API to the agent, which checks again; in a request of a
            # user, the schema allows none
            return int(value)
        return {"on": 1, "off": 0}.get(value) if isinstance(value, str) else None

    def is_reset(self, number: int) -> bool:
        return False

    def shown(self, number: float | None) -> object:
        return None if number is None else bool(number)

    def parse(self, text: str, unit: Unit) -> int:
        number = self.read(text)
        if number is None:
            raise errors.InvalidSetting(f"{text!r} is neither on nor off")
        # the API takes true and false, and refuses 1 and 0
        return bool(number)
