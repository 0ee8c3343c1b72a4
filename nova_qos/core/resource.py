# SPDX-License-Identifier: Apache-2.0
"""A resource: one thing of a running server that can be set, as a row of the table."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from nova_qos.core import errors
from nova_qos.core.balloon import Balloon, Limits
from nova_qos.core.reading import Reading
from nova_qos.core.server import Flavor
from nova_qos.core.sharing import Rule
from nova_qos.core.units import Unit

Schema = dict[str, object]
Answer = Callable[[Reading], dict[str, object]]


@dataclass(frozen=True)
class Names:
    """Every public name of a resource. Each is a literal, so that a search finds the row.

    ``key`` is the field of the resource's own set action; ``stored_as`` its key in the instance's
    system_metadata.
    """

    get_action: str
    set_action: str
    key: str
    get_rule: str
    set_rule: str
    get_command: str
    set_command: str
    option: str
    argument: str
    stored_as: str


class Value(Protocol):
    """What kind of value a resource takes. Inside, every value is an integer."""

    @property
    def schema(self) -> Schema:
        """The JSON schema of a value in a request, without its range."""

    def range_of(self, flavor: Flavor) -> tuple[int, int]:
        """The least and the most for a server of this flavor."""

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

    def in_words(self, flavor: Flavor | None) -> str:
        least = f"{self.minimum} (highest)" if self.lowest_wins else str(self.minimum)
        reset = "" if self.reset is None else f", or {self.reset} to lift it"
        return f"{least} to {self._most_in_words(flavor)}{reset}"

    def _most_in_words(self, flavor: Flavor | None) -> str:
        if flavor is None and self.flavor_maximum is not None:
            return self.flavor_maximum.words
        return str(self.range_of(flavor)[1] if flavor else self.maximum)

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


@dataclass(frozen=True)
class Default:
    """What a server has without a setting, in the API's unit, and that in words.

    ``kept_for`` tells for which flavors the agent holds servers to it, since nova starts them
    with something else.
    """

    of: Callable[[Flavor], int]
    words: str
    kept_for: Callable[[Flavor], bool] = lambda flavor: False


@dataclass(frozen=True)
class Follow:
    """Extra behaviour of a value that a guest reaches only after some time, such as the size of its
    balloon.

    ``guard`` raises, before anything is saved, what makes a target (host's unit) impossible or
    unsafe now. ``retaken`` tells whether the guest itself took back what it had given, so that the
    reading is no longer the target. ``intermediate(target, applied)`` is the value to write first
    when repeating the request would change nothing.
    """

    guard: Callable[[Balloon, int, Limits], None]
    retaken: Callable[[Balloon, Reading, int], bool]
    intermediate: Callable[[int, int], int]


@dataclass(frozen=True)
class Division:
    """How a resource is divided among the servers of a host while all of them are busy.

    ``weight`` is the number in proportion to which the server of a reading gets its part, ``rule``
    turns all weights into parts, ``column`` is the title of that part in lists.
    """

    weight: Callable[[Reading], int | None]
    rule: Rule
    column: str


@dataclass(frozen=True)
class Resource:
    """One row of the table.

    ``knob`` names the object of the host that holds the value (``host.Domain.knob``); None where
    the host has none and only the agent uses the setting. ``answer_get`` and ``answer_set`` are
    the bodies of the resource's own actions. ``none_word`` is what people call -1 when it is read.
    """

    name: str
    title: str
    names: Names
    unit: Unit
    value: Value
    default: Default
    knob: str | None
    answer_get: Answer
    answer_set: Answer
    none_word: str = "unlimited"
    follow: Follow | None = None
    division: Division | None = None

    @property
    def forceable(self) -> bool:
        """Whether a caller may overrule the guard."""
        return self.follow is not None

    def describe(self, flavor: Flavor | None = None, field: str | None = None) -> str:
        """The range in words, for error messages and help texts.

        :param field: what the request calls the value where that is not ``key``
        """
        unit = "" if self.unit.name == self.names.key else f" in {self.unit.name}"
        return f"{field or self.names.key}: {self.title}{unit}, {self.value.in_words(flavor)}."

    def check(self, value: object, flavor: Flavor, field: str | None = None) -> int | None:
        """The value to keep as desired state; None unsets.

        :param value: as a request has it; None unsets
        :param field: what the request calls the value where that is not ``key``
        :raises InvalidSetting: of the wrong type, or outside the range for this flavor
        """
        if value is None:
            return None
        number = self.value.read(value)
        if number is not None and self.value.is_reset(number):
            return None
        least, most = self.value.range_of(flavor)
        if number is None or not least <= number <= most:
            raise errors.InvalidSetting(
                f"{field or self.names.key}: {str(value)[:40]!r} is not accepted. "
                f"{self.describe(flavor, field)}")
        return number

    def within(self, value: int, flavor: Flavor) -> int:
        """A saved setting as far as the server's present flavor allows it."""
        return min(value, self.value.range_of(flavor)[1])

    def shown(self, applied: int | None) -> object:
        """An applied value, in the host's unit, as the API shows it."""
        return self.value.shown(self.unit.from_host(applied))

    def weight_of(self, reading: Reading) -> int | None:
        """The number in proportion to which the resource is divided among the servers of a host
        while all are busy; None where the value that was read divides nothing."""
        if self.division is None or reading.applied is None or not reading.effective:
            return None
        return self.division.weight(reading)


Rows = Mapping[str, Resource]
