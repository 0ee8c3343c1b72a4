# SPDX-License-Identifier: Apache-2.0
"""A resource: one thing of a running server that can be set, as a row of the table."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from nova_qos.core import errors
from nova_qos.core.balloon import Balloon, Limits
from nova_qos.core.reading import Reading
from nova_qos.core.relative import Relative
from nova_qos.core.server import Flavor
from nova_qos.core.sharing import Rule
from nova_qos.core.units import Unit
from nova_qos.core.value import Value

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


@dataclass(frozen=True)
class Default:
    """What a server has without a setting, in the API's unit, and that in words.

    ``kept_for`` tells for which flavors the agent holds servers to it, since nova starts them
    with something else. ``by_host`` is set where hosts make different things of one flavor; a
    reading tells which host it is.
    """

    of: Callable[[Flavor], int]
    words: str
    kept_for: Callable[[Flavor], bool] = lambda flavor: False
    by_host: Callable[[Flavor, Reading], int] | None = None

    def on(self, flavor: Flavor, reading: Reading) -> int:
        """The default on the host of that reading."""
        return self.by_host(flavor, reading) if self.by_host else self.of(flavor)


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

    ``at_most`` names the resource that bounds this one: a guarantee is not above its limit.
    ``held_with`` names the resource that is written together with this one, since the host makes
    one number of both. ``unused`` says why nothing uses a setting that no knob holds. ``relative``
    is the form of values that scale with the flavor, which policies may have.
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
    at_most: str | None = None
    held_with: str | None = None
    unused: str | None = None
    relative: Relative | None = None

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

    def check(
        self, value: object, flavor: Flavor, field: str | None = None, keeps_reset: bool = False
    ) -> int | None:
        """The value to keep as desired state; None unsets.

        :param value: as a request has it; None unsets
        :param field: what the request calls the value where that is not ``key``
        :param keeps_reset: the number that asks for no setting is kept, as one that no policy
            overrules
        :raises InvalidSetting: of the wrong type, or outside the range for this flavor
        """
        if value is None:
            return None
        number = self.value.read(value)
        if number is not None and self.value.is_reset(number):
            return number if keeps_reset else None
        least, most = self.value.range_of(flavor)
        if number is None or not least <= number <= most:
            raise errors.InvalidSetting(
                f"{field or self.names.key}: {str(value)[:40]!r} is not accepted. "
                f"{self.describe(flavor, field)}")
        return number

    def within(self, value: int, flavor: Flavor) -> int:
        """A saved setting as far as the server's present flavor allows it."""
        if self.value.is_reset(value):
            return value
        least, most = self.value.range_of(flavor)
        return max(least, min(value, most))

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
