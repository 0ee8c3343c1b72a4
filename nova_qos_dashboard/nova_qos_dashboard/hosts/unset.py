# SPDX-License-Identifier: Apache-2.0
"""The dialog that unsets all settings."""

from collections.abc import Mapping
from typing import Any

from django.utils.translation import gettext_lazy as _

from nova_qos.core import errors
from nova_qos.dry_run import foreseen, runs
from nova_qos.resources import TABLE
from nova_qos_dashboard.cloud import FAILURES, Cloud, sentence
from nova_qos_dashboard.hosts.set import ServersForm
from nova_qos_dashboard.preview import Preview


class UnsetForm(ServersForm):
    """Unsets everything but the policy. There is nothing to fill in, so it begins with what would
    come of it; ``failure`` says why that cannot be shown."""

    def __init__(self, request: Any, *args: Any, **kwargs: Any) -> None:
        super().__init__(request, *args, **kwargs)
        self.failure: str | None = None
        if self.is_bound:
            return
        try:
            self.fields["seen"].initial = self.show(request, self.asked({}))
        except FAILURES as error:
            self.failure = sentence(error)

    @property
    def submit_label(self) -> Any:
        """What the button does next."""
        return _("Unset All Settings") if self.preview else _("Preview")

    def asked(self, data: Mapping[str, Any]) -> dict[str, list[str]]:
        """By server, the settings that it has.

        :raises InvalidSetting: none of the servers has one
        """
        found = {}
        for each in self.servers:
            saved = foreseen.listed(each)
            found[each["id"]] = sorted({**saved.own, **saved.hooked})
        if not any(found.values()):
            raise errors.InvalidSetting(str(_("There are no settings to unset.")))
        return found

    def foresee(self, cloud: Cloud, asked: Any) -> Preview:
        """The servers and their neighbours after it."""
        forecast = runs.of_set(cloud, {self.host.name: list(asked)}, {
            each: dict.fromkeys(names) for each, names in asked.items()})
        return Preview(forecast, forecast.promises)

    def send(self, request: Any, asked: Any) -> bool:
        """One server by its own action, several in one request."""
        qos, ids = Cloud(request).qos, list(asked)
        nothing: dict[str, Any] = dict.fromkeys(TABLE)
        if len(ids) == 1:
            return self.close(request, {ids[0]: qos.set(ids[0], **nothing)})
        return self.close(request, qos.set_many(dict.fromkeys(ids, nothing)))
