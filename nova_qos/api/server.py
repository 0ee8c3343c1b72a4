# SPDX-License-Identifier: Apache-2.0
"""One server of one request: loaded, authorised, read and changed."""

from collections.abc import Iterable, Mapping
from typing import Any

from nova import exception
from nova.api.openstack import common
from nova.compute import api as compute

from nova_qos import errors, store
from nova_qos.model import Flavor, Reading
from nova_qos.resources import TABLE
from nova_qos.rpc import AgentClient

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
            compute_api, self._context, uuid, expected_attrs=list(store.ATTRIBUTES))
        owner = {"project_id": self._instance.project_id, "user_id": self._instance.user_id}
        for rule in rules:
            self._context.can(rule, target=owner)

    @property
    def flavor(self) -> Flavor:
        """What nova promised the server."""
        return store.flavor_of(self._instance)

    @property
    def requested(self) -> dict[str, int]:
        """The saved settings."""
        return store.requested(self._instance)

    def read(self, names: Iterable[str]) -> dict[str, Reading]:
        """What the server's host holds.

        :raises ServerNotRunning, HostCannot, Unreachable: see ``Domain``
        """
        return self._agent.read(self._context, self._host(), self._instance.uuid, list(names))

    def balloon(self) -> tuple[bool, str | None]:
        """Whether the guest's balloon driver lives, and if not, why."""
        return self._agent.balloon(self._context, self._host(), self._instance.uuid)

    def set(
        self, action: str, values: Mapping[str, tuple[str, object]], force: bool
    ) -> tuple[dict[str, int | None], dict[str, Reading]]:
        """Check, save and apply; the settings as they are kept and what the host holds now.

        Values are given by resource, each with the field of the request that it stood in.

        Readings cover the resources named; all of them where nobody could be asked.

        :raises InvalidSetting, TaskInProgress, HostCannot, HostRefused: nothing was changed
        :raises nova.exception.InstanceIsLocked: for everyone but administrators
        """
        flavor = self.flavor
        settings = {
            name: TABLE[name].check(value, flavor, field)
            for name, (field, value) in values.items()
        }
        if self._instance.locked and not self._context.is_admin:
            raise exception.InstanceIsLocked(instance_uuid=self._instance.uuid)
        if self._instance.task_state is not None:
            raise errors.TaskInProgress(
                f"cannot {action} while task {self._instance.task_state} is in progress on the "
                "server; ask again when it is done")
        what = "qos " + " ".join(f"{name}={value}" for name, value in settings.items())
        with store.recorded(self._context, self._instance, action, what):
            return settings, self._save_and_apply(settings, force)

    def _save_and_apply(
        self, settings: Mapping[str, int | None], force: bool
    ) -> dict[str, Reading]:
        try:
            if self._instance.host is None:
                raise errors.ServerNotRunning(_NOWHERE)
            return self._agent.set(
                self._context, self._instance.host, self._instance.uuid, settings, force)
        except (errors.Unreachable, errors.ServerNotRunning) as error:
            # nobody there who could save it: done here, to be applied when the host can
            instance = store.load(self._context, self._instance.uuid)
            store.save(instance, settings, later=settings)
            return dict.fromkeys(
                TABLE, Reading(None, effective=False, reason=error.message, hindered="pending"))

    def _host(self) -> str:
        if self._instance.host is None:
            raise errors.ServerNotRunning(f"{_NOWHERE}: nothing can be read")
        return str(self._instance.host)
