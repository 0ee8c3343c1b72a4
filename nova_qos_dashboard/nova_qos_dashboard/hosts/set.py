# SPDX-License-Identifier: Apache-2.0
"""The dialog that sets and unsets."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _
from horizon import forms

from nova_qos.client import Host, Listed, Outcome
from nova_qos.core.errors import ApiRefused
from nova_qos.dry_run import runs
from nova_qos_dashboard.cloud import Cloud, sentence
from nova_qos_dashboard.hosts.fields import FAMILIES, UNSET, every, field
from nova_qos_dashboard.hosts.tables import tell
from nova_qos_dashboard.preview import Preview, PreviewForm, require


class ServersForm(PreviewForm):
    """A form for some servers of a host."""

    def __init__(
        self, request: Any, *args: Any, host: Host, servers: Sequence[Listed], **kwargs: Any
    ) -> None:
        super().__init__(request, *args, **kwargs)
        self.host, self.servers = host, servers

    def names(self) -> dict[str, str]:
        """The names of the servers by id."""
        return {each["id"]: each["name"] or each["id"] for each in self.host.servers}

    def close(self, request: Any, results: Mapping[str, Outcome | ApiRefused]) -> bool:
        """Say what became of the servers; the dialog stays where none was changed."""
        if any(isinstance(each, Outcome) for each in results.values()):
            tell(request, self.names(), dict(results))
            return True
        for server_id, error in results.items():
            if isinstance(error, ApiRefused):
                self.api_error(f"{self.names()[server_id]}: {sentence(error)}")
        return False


class SetForm(ServersForm):
    """A field for each resource: what is empty is unset, or stays where servers differ."""

    force = forms.BooleanField(
        required=False, label=_("Reduce memory even if the guest cannot spare it"))

    def __init__(self, request: Any, *args: Any, **kwargs: Any) -> None:
        super().__init__(request, *args, **kwargs)
        self._shared = every(self.servers)
        for name, shared in self._shared.items():
            self.fields[name] = field(shared)

    @property
    def families(self) -> Iterator[tuple[Any, list[tuple[Any, str]]]]:
        """The fields of each family with their hints."""
        for title, rows in FAMILIES.items():
            yield title, [(self[row.name], self._shared[row.name].hint) for row in rows
                          if row.name in self._shared]

    def clean(self) -> dict[str, Any]:
        """Each field as a value, with an error of its own."""
        data: dict[str, Any] = super().clean()
        for name, shared in self._shared.items():
            try:
                shared.read(data.get(name) or "")
            except ValidationError as error:
                self.add_error(name, error)
        return data

    def asked(self, data: Mapping[str, Any]) -> dict[str, Any]:
        """What differs from what the servers have, by server."""
        changed = {}
        for name, shared in self._shared.items():
            text = data.get(name) or ""
            if text != shared.text and not (text == UNSET and shared.own == {None}):
                changed[name] = shared.read(text)
        require(changed)
        return {"settings": changed, "force": bool(data.get("force"))}

    def foresee(self, cloud: Cloud, asked: Any) -> Preview:
        """The servers and their neighbours after it."""
        ids = [each["id"] for each in self.servers]
        forecast = runs.of_set(
            cloud, {self.host.name: ids}, dict.fromkeys(ids, asked["settings"]), None)
        return Preview(forecast, forecast.promises)

    def send(self, request: Any, asked: Any) -> bool:
        """One server by its own action, whose refusals have a number; several in one request."""
        qos, ids = Cloud(request).qos, [each["id"] for each in self.servers]
        if len(ids) == 1:
            outcome = qos.set(ids[0], force=asked["force"], **asked["settings"])
            return self.close(request, {ids[0]: outcome})
        return self.close(request, qos.set_many(
            dict.fromkeys(ids, asked["settings"]), force=asked["force"]))
