# SPDX-License-Identifier: Apache-2.0
"""The dialog that moves memory from one server to another one of its host."""

from collections.abc import Mapping
from typing import Any

from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _
from horizon import forms

from nova_qos.core import errors
from nova_qos.dry_run import runs
from nova_qos.resources import MEMORY
from nova_qos_dashboard.cloud import Cloud
from nova_qos_dashboard.hosts.set import ServersForm
from nova_qos_dashboard.preview import Preview


class MoveForm(ServersForm):
    """Who gets how much."""

    target = forms.ThemableChoiceField(label=_("To"))
    amount = forms.CharField(
        label=_("How much (MiB, or with a unit)"), max_length=32,
        widget=forms.TextInput(attrs={"placeholder": "128", "autocomplete": "off"}))
    force = forms.BooleanField(
        required=False, label=_("Even if the guest cannot spare it"))

    def __init__(self, request: Any, *args: Any, **kwargs: Any) -> None:
        super().__init__(request, *args, **kwargs)
        self.source = self.servers[0]
        self._present = {each["id"]: _present(each) for each in self.host.servers}
        self.fields["target"].choices = [
            (each["id"], _choice(each, self._present[each["id"]])) for each in self.host.servers
            if each["id"] != self.source["id"] and each.get("status") == "ACTIVE"]

    @property
    def present_mib(self) -> int:
        """What the giving server is to have now."""
        return self._present[self.source["id"]]

    def clean_amount(self) -> int:
        """In MiB."""
        try:
            amount = MEMORY.value.parse(self.cleaned_data["amount"], MEMORY.unit)
        except errors.InvalidSetting as error:
            raise ValidationError(error.message) from error
        if amount < 1:
            raise ValidationError(_("Nothing would be moved."))
        return int(amount)

    def asked(self, data: Mapping[str, Any]) -> dict[str, Any]:
        """What both are to have then."""
        amount, target = data["amount"], data["target"]
        return {"force": bool(data.get("force")), "changes": {
            self.source["id"]: {MEMORY.name: self.present_mib - amount},
            target: {MEMORY.name: self._present[target] + amount}}}

    def foresee(self, cloud: Cloud, asked: Any) -> Preview:
        """Both servers after it."""
        changes = asked["changes"]
        forecast = runs.of_set(cloud, {self.host.name: list(changes)}, changes, None)
        return Preview(forecast, forecast.promises)

    def send(self, request: Any, asked: Any) -> bool:
        """Both or none."""
        return self.close(request, Cloud(request).qos.set_many(
            asked["changes"], force=asked["force"], together=True))


def _present(server: Any) -> int:
    """What it is to have now."""
    report = server["qos"][MEMORY.name]
    requested = report["requested"]
    return int(report["default"] if requested is None else requested)


def _choice(server: Any, present_mib: int) -> str:
    return f"{server['name']} ({present_mib} / {server['memory_mib']} MiB)"
