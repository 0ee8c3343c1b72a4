# SPDX-License-Identifier: Apache-2.0
"""One server of one request: loaded, authorised, read and changed."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from nova import exception
from nova.api.openstack import common
from nova.compute import api as compute

from nova_qos.bus.client import AgentClient
from nova_qos.core import desired, errors
from nova_qos.core.reading import Reading
from nova_qos.core.report import Report, reports
from nova_qos.core.server import Flavor, SavedServer
from nova_qos.instances import audit, settings
from nova_qos.resources import TABLE

_NOWHERE = "the server is on no host"


class Server:
    """The server that a request names.

    :raises webob.exc.HTTPNotFound: there is none that the caller may know of
    :raises nova.exception.PolicyNotAuthorized: a rule forbids it
    """

    def __init__(
        self, compute_api: compute.API, agent: AgentClient, request: Any, uuid: str,
        rules: Iterable[str],
    ) -> None:
        self._agent = agent
        self._context = request.environ["nova.context"]
        self._instance = common.get_instance(
            compute_api, self._context, uuid, expected_attrs=list(settings.ATTRIBUTES))
        owner = {"project_id": self._instance.project_id, "user_id": self._instance.user_id}
        for rule in rules:
            self._context.can(rule, target=owner)
        self._saved: SavedServer | None = None

    @property
    def saved(self) -> SavedServer:
        """The server with its desired state, as it was loaded."""
        if self._saved is None:
            self._saved = settings.saved_server(self._instance)
        return self._saved

    @property
    def flavor(self) -> Flavor:
        """What nova promised the server."""
        return self.saved.flavor

    def read(self, names: Iterable[str]) -> dict[str, Reading]:
        """What the server's host holds.

        :raises ServerNotRunning, HostCannot, Unreachable: see ``host.Knob``
        """
        if self._instance.host is None:
            raise errors.ServerNotRunning(f"{_NOWHERE}, so there is nothing to read")
        return self._agent.read(
            self._context, self._instance.host, self._instance.uuid, list(names))

    def has_balloon(self) -> bool:
        """Whether the guest's balloon driver lives."""
        if self._instance.host is None:
            raise errors.ServerNotRunning(f"{_NOWHERE}, so there is nothing to read")
        return self._agent.balloon(self._context, self._instance.host, self._instance.uuid)

    def check(self, values: Mapping[str, tuple[str, object]]) -> dict[str, int | None]:
        """Check values by resource, each given with its field in the request, and return them as
        settings to save.

        :raises InvalidSetting: one is out of its range
        """
        return {name: TABLE[name].check(value, self.flavor, field)
                for name, (field, value) in values.items()}

    def set(
        self, action: str, changes: Mapping[str, int | None], force: bool, names: Iterable[str]
    ) -> dict[str, Reading]:
        """Save and apply settings by resource; None unsets.

        :returns: readings of the named resources; of all of them if no agent answered

        :raises TaskInProgress, HostCannot, HostRefused: nothing was changed
        :raises nova.exception.InstanceIsLocked: for everyone but administrators
        """
        if self._instance.locked and not self._context.is_admin:
            raise exception.InstanceIsLocked(instance_uuid=self._instance.uuid)
        if self._instance.task_state is not None:
            raise errors.TaskInProgress(
                f"cannot {action} while task {self._instance.task_state} is in progress on the "
                "server; ask again when it is done")
        what = "qos " + " ".join(f"{name}={value}" for name, value in changes.items())
        with audit.recorded(self._context, self._instance, action, what):
            readings = self._save_and_apply(changes, force, list(names))
        own = {**self.saved.own, **changes}
        self._saved = replace(self.saved, own={
            name: value for name, value in own.items() if value is not None})
        return readings

    def reports(self, readings: Mapping[str, Reading]) -> dict[str, Report]:
        """Every resource as get-qos shows it."""
        targets = desired.resolve(TABLE, self.saved)
        return reports(TABLE, targets, self.flavor, readings)

    def _save_and_apply(
        self, changes: Mapping[str, int | None], force: bool, names: list[str]
    ) -> dict[str, Reading]:
        try:
            if self._instance.host is None:
                raise errors.ServerNotRunning(_NOWHERE)
            return self._agent.set(
                self._context, self._instance.host, self._instance.uuid, changes, force, names)
        except (errors.Unreachable, errors.ServerNotRunning) as error:
            # no agent saved it: done here, and applied when the host can
            settings.request(settings.load(self._context, self._instance.uuid), changes)
            return dict.fromkeys(TABLE, Reading.unread(error))
