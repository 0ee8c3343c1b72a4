# SPDX-License-Identifier: Apache-2.0
"""One server of one request: loaded, authorised, read and changed."""

import time
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from contextlib import ExitStack
from typing import Any

from nova import exception
from nova.compute import api as compute
from nova.compute import vm_states

from nova_qos.api import rights
from nova_qos.api.assigning import Assigner, assigner, number_of
from nova_qos.api.scope import require_user
from nova_qos.bus.client import AgentClient
from nova_qos.bus.wire import Result, SetAnswer
from nova_qos.core import desired, errors
from nova_qos.core.desired import Target
from nova_qos.core.reading import Reading
from nova_qos.core.report import Report, held, reports
from nova_qos.core.server import POLICY, Entries, Entry, Flavor, SavedServer, next_stamp
from nova_qos.instances import hosts, saving, settings
from nova_qos.instances.saving import Trace
from nova_qos.resources import TABLE

_NOWHERE = "the server is on no host"
#: The result of a set for such a server.
ON_NO_HOST = errors.ServerNotRunning(_NOWHERE)


class Server:
    """A server that a request names."""

    def __init__(
        self, agent: AgentClient, context: Any, instance: settings.Instance, rules: Sequence[str]
    ) -> None:
        """:param context: the caller's, in the server's cell
        :raises nova.exception.PolicyNotAuthorized: a rule forbids it
        """
        self._agent, self._context, self._instance = agent, context, instance
        owner = {"project_id": instance.project_id, "user_id": instance.user_id}
        rights.require(context, rules, owner)
        self._saved: SavedServer | None = None
        self._assigner: Assigner | None = None

    @classmethod
    def load(
        cls, compute_api: compute.API, agent: AgentClient, request: Any, uuid: str,
        rules: Sequence[str], attributes: Iterable[str] = settings.ATTRIBUTES,
    ) -> "Server":
        """The server of this id.

        :param attributes: what to load of the server; what is missing is loaded when needed
        :raises nova.exception.InstanceNotFound: there is none that the caller may know of
        :raises AgentAway: its cell does not answer
        :raises nova.exception.PolicyNotAuthorized: a rule forbids it
        """
        context = request.environ["nova.context"]
        require_user(context, rules[0])
        instance = hosts.find(compute_api, context, uuid, attributes)
        return cls(agent, context, instance, rules)

    @property
    def context(self) -> Any:
        """The caller's, in the server's cell."""
        return self._context

    @property
    def host(self) -> str | None:
        """The compute host that nova has it on."""
        host: str | None = self._instance.host
        return host

    @property
    def saved(self) -> SavedServer:
        """The server with its desired state, as it was loaded, and what its policies come to."""
        if self._saved is None:
            self._saved = self._assigned(settings.saved_server(self._instance))
        return self._saved

    def _assigned(self, server: SavedServer) -> SavedServer:
        if self._assigner is None:
            self._assigner = assigner()
        return self._assigner(server)

    @property
    def flavor(self) -> Flavor:
        """What nova promised the server."""
        return self.saved.flavor

    def read(self, names: Iterable[str]) -> dict[str, Reading]:
        """What the server's host holds.

        :raises ServerNotRunning, HostCannot, Unreachable: see ``host.Knob``
        """
        return self._with_kept(self._begin_read(names)())

    def _begin_read(self, names: Iterable[str]) -> Callable[[], dict[str, Reading]]:
        if self._instance.host is None:
            raise errors.ServerNotRunning(f"{_NOWHERE}, so there is nothing to read")
        return self._agent.begin_read(
            self._context, self._instance.host, self._instance.uuid, list(names))

    def has_balloon(self) -> bool:
        """Whether the guest's balloon driver lives."""
        if self._instance.host is None:
            raise errors.ServerNotRunning(f"{_NOWHERE}, so there is nothing to read")
        return self._agent.balloon(self._context, self._instance.host, self._instance.uuid)

    def check(self, values: Mapping[str, tuple[str, object]]) -> dict[str, int | None]:
        """Check values by resource, each given with its field in the request, and return them as
        settings to save; and ``POLICY`` with the policy's name or id, which becomes its number.

        :raises InvalidSetting: one is out of its range, or contradicts another of the server
        :raises NoDatabase, DatabaseAway: the policy cannot be looked up
        """
        after = self.saved
        if POLICY in values:
            number = number_of(values[POLICY][1])
            after = self._assigned(after.having({**after.entries, POLICY: Entry(number)}))
        named = desired.names_of(after)
        checked = {name: TABLE[name].check(value, self.flavor, field, name in named)
                   for name, (field, value) in values.items() if name != POLICY}
        if POLICY in values:
            checked[POLICY] = after.policy
        together = {**self.saved.hooked, **self.saved.own, **checked}
        desired.require_order(
            TABLE, {name: value for name, value in together.items() if value is not None})
        return checked

    def set(
        self, action: str, changes: Mapping[str, int | None], force: bool, names: Iterable[str]
    ) -> dict[str, Reading]:
        """Save and apply settings by resource; None unsets.

        :returns: readings of the named resources; of all of them if no agent answered

        :raises TaskInProgress, HostCannot, HostRefused: nothing was changed
        :raises nova.exception.InstanceIsLocked: for everyone but administrators
        """
        trace = self.begin_set(action, changes)
        with trace.left_if_it_fails():
            return self._apply_and_save(trace, changes, force, list(names))

    def begin_set(self, action: str, changes: Mapping[str, int | None]) -> Trace:
        """The trace of a set, if nova's state of the server allows one now.

        :raises TaskInProgress: it does not
        :raises nova.exception.InstanceIsLocked: for everyone but administrators
        """
        if self._instance.locked and not self._context.is_admin:
            raise exception.InstanceIsLocked(instance_uuid=self._instance.uuid)
        if self._instance.vm_state == vm_states.BUILDING or self._instance.task_state is not None:
            task = self._instance.task_state or vm_states.BUILDING
            raise errors.TaskInProgress(
                f"cannot {action} while task {task} is in progress on the "
                "server; ask again when it is done")
        what = "qos " + " ".join(f"{name}={value}" for name, value in changes.items())
        return Trace.begin(self._context, self._instance, action, what)

    def keep(
        self, trace: Trace, changes: Mapping[str, int | None], result: Result
    ) -> dict[str, Reading]:
        """Save what became of a set, and how far it has come by now.

        :raises QosError: what it failed with; nothing was saved
        """
        if isinstance(result, errors.Unreachable | errors.ServerNotRunning):
            # saved nevertheless, and applied when the host can
            self._save(trace, lambda known: _entries(changes, known, changes), result.message)
            return dict.fromkeys(TABLE, Reading.unread(result))
        if isinstance(result, errors.QosError):
            raise result
        return keep_all([(self, trace, changes, result)])[0]

    def discard(self, answer: SetAnswer) -> None:
        """Have the agent take back what could not be saved."""
        if self.host is not None:
            self._agent.discard(self._context, self.host, self._instance.uuid, answer.entries)

    def kept(self, entries: Entries, answer: SetAnswer) -> dict[str, Reading]:
        """The readings of a set, once it is saved."""
        self._saved = self._assigned(self.saved.having(entries))
        return self._with_kept(answer.readings)

    def held(self) -> dict[str, Report]:
        """Every resource as get-qos shows it; where nothing can be read, each says why."""
        try:
            answer = self._begin_read(TABLE)
            # while the host looks
            self._saved = self._assigned(saving.load(self._context, self._instance))
            readings = answer()
        except (errors.ServerNotRunning, errors.Unreachable) as error:
            readings = dict.fromkeys(TABLE, Reading.unread(error))
        if self._saved is None or not self._is_in_force(readings):
            # before that is said: it may have been changed since
            self._saved = self._assigned(saving.load(self._context, self._instance))
        return self.reports(readings)

    def reports(self, readings: Mapping[str, Reading]) -> dict[str, Report]:
        """The resources that were read, each beside what is saved of it."""
        read = {name: row for name, row in TABLE.items() if name in readings}
        return reports(read, self._targets(readings), self.saved, readings)

    def waits(self, changes: Iterable[str], readings: Mapping[str, Reading]) -> bool:
        """Whether a part of what was changed is to be applied later: nothing could be written."""
        targets = desired.resolve(TABLE, self.saved)
        asked = {name for name in readings if name in changes or (
            POLICY in changes and targets[name].source.kind == "policy")}
        return any(readings[name].waits for name in asked)

    def _is_in_force(self, readings: Mapping[str, Reading]) -> bool:
        targets = self._targets(readings)
        return all(readings[name].holds(targets[name].host_value)
                   for name, row in TABLE.items() if row.knob)

    def _with_kept(self, readings: Mapping[str, Reading]) -> dict[str, Reading]:
        """The readings, with what no object of the host holds as it is saved."""
        if all(TABLE[name].knob for name in readings):
            # nothing of the server needs to be loaded for that
            return dict(readings)
        targets = desired.resolve(TABLE, self.saved)
        return {name: held(TABLE[name], targets[name], each) for name, each in readings.items()}

    def _targets(self, readings: Mapping[str, Reading]) -> dict[str, Target]:
        targets = desired.resolve(TABLE, self.saved)
        return desired.at_host(TABLE, targets, self.flavor, readings)

    def _apply_and_save(
        self, trace: Trace, changes: Mapping[str, int | None], force: bool, names: list[str]
    ) -> dict[str, Reading]:
        host, uuid = self._instance.host, self._instance.uuid
        if host is None:
            return self.keep(trace, changes, ON_NO_HOST)
        try:
            answer = self._agent.set(self._context, host, self.saved, changes, force, names)
        except (errors.Unreachable, errors.ServerNotRunning) as error:
            return self.keep(trace, changes, error)
        readings = self.keep(trace, changes, answer)
        followed = self._agent.followed(self._context, host, uuid, answer) if answer.moving else {}
        return {**readings, **followed}

    def _save(self, trace: Trace, change: saving.Changes, waits_for: str | None) -> None:
        self._saved = self._assigned(self.saved.having(saving.save(trace, change, waits_for)))


#: A set that was carried out: of which server, what it leaves, what was changed, what came of it.
Done = tuple[Server, Trace, Mapping[str, int | None], SetAnswer]


def keep_all(sets: Sequence[Done]) -> list[dict[str, Reading]]:
    """Save sets that were carried out on servers of one cell, all or none, and how far each has
    come.

    :raises QosError: nothing was saved, and the agent takes all of it back
    """
    with ExitStack() as undo:
        for server, _trace, _changes, answer in sets:
            undo.callback(server.discard, answer)
        saved = saving.save_all([
            (trace, _changed(changes, answer), _why_waiting(changes, answer.readings))
            for _server, trace, changes, answer in sets])
        undo.pop_all()
    return [server.kept(entries, answer)
            for (server, _trace, _changes, answer), entries in zip(sets, saved, strict=True)]


def _changed(changes: Mapping[str, int | None], answer: SetAnswer) -> saving.Changes:
    pending = {name for name, each in answer.readings.items() if each.unmet == "pending"}
    return lambda known: answer.entries or _entries(changes, known, pending)


def _why_waiting(changes: Iterable[str], readings: Mapping[str, Reading]) -> str | None:
    """Why those of the changes wait that nothing could be written for yet, if any."""
    asked = readings.keys() & set(changes)
    reasons = {name: readings[name].reason for name in asked if readings[name].waits}
    if len(set(reasons.values())) == 1 and reasons.keys() == asked:
        return next(iter(reasons.values()))
    return "; ".join(f"{name}: {reason}" for name, reason in reasons.items()) or None


def _entries(
    changes: Mapping[str, int | None], known: Entries, pending: Container[str]
) -> dict[str, Entry]:
    stamp = next_stamp(known, time.time())
    return {name: Entry(value, value is None and name in pending and name != POLICY, stamp)
            for name, value in changes.items()}
