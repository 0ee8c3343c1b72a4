# SPDX-License-Identifier: Apache-2.0
"""The dialog that assigns a policy to servers."""

from collections.abc import Mapping
from typing import Any

from django.utils.translation import gettext_lazy as _
from horizon import forms

from nova_qos.core.policy import NONE_NAME
from nova_qos.dry_run import runs
from nova_qos_dashboard.cloud import FAILURES, Cloud, sentence
from nova_qos_dashboard.hosts.set import ServersForm
from nova_qos_dashboard.preview import Preview


class AssignForm(ServersForm):
    """A choice among the policies."""

    policy = forms.ThemableChoiceField(label=_("Policy"), required=False)

    def __init__(self, request: Any, *args: Any, **kwargs: Any) -> None:
        super().__init__(request, *args, **kwargs)
        self._policies: list[tuple[str, str]] = []
        self.failure: str | None = None
        try:
            self._policies = [(each["name"], each["name"]) for each in
                              Cloud(request).policies.list()]
        except FAILURES as error:
            self.failure = sentence(error)
        self.fields["policy"].choices = [
            ("", _("What flavor, project and default policy say")),
            (NONE_NAME, _("No policy at all")), *self._policies]

    def asked(self, data: Mapping[str, Any]) -> dict[str, Any]:
        """The policy; None unsets it."""
        return {"policy": data["policy"] or None}

    def foresee(self, cloud: Cloud, asked: Any) -> Preview:
        """The servers and their neighbours after it."""
        ids = [each["id"] for each in self.servers]
        forecast = runs.of_set(
            cloud, {self.host.name: ids}, {each: {} for each in ids}, asked["policy"],
            unassigns=asked["policy"] is None)
        return Preview(forecast, forecast.promises)

    def send(self, request: Any, asked: Any) -> bool:
        """One server by its own action, several in one request."""
        qos, ids = Cloud(request).qos, [each["id"] for each in self.servers]
        if len(ids) == 1:
            return self.close(request, {ids[0]: qos.set(ids[0], **asked)})
        return self.close(request, qos.set_many(dict.fromkeys(ids, asked)))
