# SPDX-License-Identifier: Apache-2.0
"""The fields of settings, by family, and what people write into them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _
from horizon import forms

from nova_qos.client import HeldReport, Listed
from nova_qos.core import errors
from nova_qos.core.resource import Resource
from nova_qos.core.value import Number
from nova_qos.resources import TABLE, cpu, disk, memory, network
from nova_qos_dashboard import words
from nova_qos_dashboard.terms import term

#: The resources of each family, in the order of the fields.
FAMILIES: Mapping[Any, Sequence[Resource]] = {
    _("Memory"): memory.ROWS, _("CPU"): cpu.ROWS, _("Disk"): disk.ROWS,
    _("Network, sent"): [row for row in network.ROWS if not row.name.startswith("net_in_")],
    _("Network, received"): [row for row in network.ROWS if row.name.startswith("net_in_")],
}
#: What unsets a setting of several servers that have different ones.
UNSET = "unset"
_SERVER = "server"
_RANGE = _("%(unit)s, %(least)s to %(most)s.")
_WITH_NONE = _("%(unit)s, %(least)s to %(most)s; -1: %(none)s.")
_HIGHEST = _("%(least)s is the highest.")
_NOW = _("Now: %(applied)s.")


@dataclass(frozen=True)
class Shared:
    """A resource as some servers have it: ``own`` is the setting of each, None for none."""

    row: Resource
    reports: Sequence[HeldReport]

    @classmethod
    def of(cls, row: Resource, servers: Sequence[Listed]) -> "Shared":
        """The resource of these servers."""
        return cls(row, [each["qos"][row.name] for each in servers if row.name in each["qos"]])

    @property
    def own(self) -> set[int | None]:
        return {each["requested"] if each.get("source", _SERVER) == _SERVER else None
                for each in self.reports}

    @property
    def is_alike(self) -> bool:
        """Whether all servers have the same setting, or none."""
        return len(self.own) == 1

    @property
    def text(self) -> str:
        """What stands in the field; nothing where there is no setting, or they differ."""
        (value,) = self.own if self.is_alike else (None,)
        return "" if value is None else str(value)

    @property
    def range(self) -> tuple[int, int]:
        """What all of them take."""
        return (max(each["range"][0] for each in self.reports),
                min(each["range"][1] for each in self.reports))

    @property
    def placeholder(self) -> Any:
        """What is said of an empty field."""
        if not self.is_alike:
            return _("different; stays as it is")
        policies = {each.get("source", "") for each in self.reports
                    if each.get("source", "").removeprefix("default ").startswith("policy ")}
        return policies.pop() if len(policies) == 1 else _("not set")

    @property
    def hint(self) -> str:
        """Unit, range, what is applied now, and why not more."""
        least, most = self.range
        applied = {words.figure(self.row.name, each["applied"]) for each in self.reports}
        told = _WITH_NONE if self.row.value.is_reset(-1) else _RANGE
        now = _NOW % {"applied": ", ".join(sorted(applied))} if len(applied) <= 3 else ""
        reasons = {each["reason"] for each in self.reports
                   if each["state"] == "unsupported" and each["reason"]}
        shown = told % {"unit": term(self.row.unit.name), "least": least, "most": most,
                        "none": term(self.row.none_word)}
        lowest_wins = isinstance(self.row.value, Number) and self.row.value.lowest_wins
        highest = _HIGHEST % {"least": least} if lowest_wins else ""
        return " ".join(filter(None, (shown, highest, now, "; ".join(sorted(reasons)))))

    def read(self, text: str) -> int | None:
        """The value that somebody wrote; None for none.

        :raises ValidationError: it is none that all these servers take
        """
        if text in ("", UNSET):
            return None
        try:
            value = self.row.value.parse(text, self.row.unit)
        except errors.InvalidSetting as error:
            raise ValidationError(error.message) from error
        least, most = self.range
        if not (self.row.value.is_reset(value) or least <= value <= most):
            raise ValidationError(
                _("%(value)s is not within %(least)s to %(most)s."),
                params={"value": value, "least": least, "most": most})
        return value


def field(shared: Shared) -> forms.CharField:
    """The field of a resource."""
    name = shared.row.name
    return forms.CharField(
        label=words.title(shared.row), required=False, initial=shared.text, max_length=32,
        widget=forms.TextInput(attrs={
            "class": "form-control", "placeholder": shared.placeholder,
            "aria-describedby": f"hint_{name}", "autocomplete": "off"}))


def every(servers: Sequence[Listed]) -> dict[str, Shared]:
    """All resources that these servers have, by name."""
    found = {row.name: Shared.of(row, servers) for row in TABLE.values()}
    return {name: each for name, each in found.items() if len(each.reports) == len(servers)}
