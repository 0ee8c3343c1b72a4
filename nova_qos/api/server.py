# SPDX-License-Identifier: Apache-2.0
"""One server of one request: loaded, authorised, read and changed."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from typing import Any

from nova import exception
from nova.compute import api as compute
from nova.compute import vm_states

from nova_qos.api import rights
from nova_qos.api.assigning import Assigner
from nova_qos.api.kept import applied, unapplied, while_there
from nova_qos.api.scope import require_user
from nova_qos.api.waiting import waits, why_waiting
from nova_qos.bus.client import AgentClient
from nova_qos.bus.wire import Result, SetAnswer
from nova_qos.core import desired, errors
from nova_qos.core.desired import Target
from nova_qos.core.known import Copy
from nova_qos.core.reading import Reading
from nova_qos.core.report import Report, held, reports
from nova_qos.core.server import POLICY, Entries, Flavor, SavedServer
from nova_qos.instances import hosts, saving, settings
from nova_qos.instances.saving import Trace
from nova_qos.resources import LIST_HOST_RULE, TABLE

_NOWHERE = "the server is on no host"
#: The result of a set for such a server.
ON_NO_HOST = errors.ServerNotRunning(_NOWHERE)
#: Of a resource that its policy decides, and that the agent's answer leaves out.
_YET_TO_GET = Reading(
    None, effective=False, unmet="pending", reason="the host has yet to get the policy")


class Server:
    """A server that a request names."""

    def __init__(
        self, agent: AgentClient, context: Any, instance: settings.Instance, rules: Sequence[str],
        assigner: Assigner | None = None,
    ) -> None:
        """:param context: the caller's, in the server's cell
        :param assigner: that of the request, where it is about several servers
        :raises nova.exception.PolicyNotAuthorized: a rule forbids it
        """
        self._agent, self._context, self._instance = agent, context, instance
        owner = {"project_id": instance.project_id, "user_id": instance.user_id}
        rights.require(context, rules, owner)
        self._saved: SavedServer | None = None
        self._assigner = assigner or Assigner()
        #: The host's copy of the policies, where it has told of it.
        self._copy: Copy | None = None

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
            self._saved = self._assigner(settings.saved_server(self._instance))
        return self._saved

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

        Where there are named policies, the number that asks for none is a setting, too: whatever
        policies say, now or later.

        :raises InvalidSetting: one is out of its range, or contradicts another of the server
        :raises NoDatabase, DatabaseAway: the policy cannot be looked up
        """
        has_policies = self._assigner.has_policies
        checked = {name: TABLE[name].check(value, self.flavor, field, has_policies)
                   for name, (field, value) in values.items() if name != POLICY}
        if POLICY in values:
            checked[POLICY] = self._assigner.number_of(values[POLICY][1])
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
        words = {**changes, POLICY: self._assigner.name_of(changes[POLICY])} if (
            POLICY in changes) else changes
        what = "qos " + " ".join(f"{name}={value}" for name, value in words.items())
        return Trace.begin(self._context, self._instance, action, what)

    def keep(
        self, trace: Trace, changes: Mapping[str, int | None], result: Result
    ) -> dict[str, Reading]:
        """Save what became of a set, and how far it has come by now.

        :raises QosError: what it failed with; nothing was saved
        """
        if isinstance(result, errors.Unreachable | errors.ServerNotRunning):
            # saved nevertheless, and applied when the host can
            self._save_unapplied(trace, changes, result.message)
            return dict.fromkeys(TABLE, Reading.unread(result))
        if isinstance(result, errors.QosError):
            raise result
        return keep_all([(self, trace, changes, result)])[0]

    def discard(self, answer: SetAnswer) -> None:
        """Have the agent take back what could not be saved."""
        if self.host is not None:
            self._agent.discard(self._context, self.host, self._instance.uuid, answer.entries)

    def kept(
        self, changes: Iterable[str], entries: Entries, answer: SetAnswer
    ) -> dict[str, Reading]:
        """The readings of a set, once it is saved."""
        self._saved = self._assigner(self.saved.having(entries))
        readings = dict(answer.readings)
        if POLICY in changes:
            # its agent has left out what it does not know of yet
            readings |= {name: _YET_TO_GET for name, each in desired.resolve(
                TABLE, self.saved).items() if each.source.kind == "policy" and name not in readings}
        return self._with_kept(readings)

    def held(self) -> dict[str, Report]:
        """Every resource as get-qos shows it; where nothing can be read, each says why."""
        try:
            asked = [*TABLE, POLICY] if self._assigner.has_policies else list(TABLE)
            answer = self._begin_read(asked)
            # while the host looks
            self._saved = self._assigner(saving.load(self._context, self._instance))
            readings = answer()
            self._copy = self._told(readings.pop(POLICY, None)) if POLICY in asked else None
        except (errors.ServerNotRunning, errors.Unreachable) as error:
            readings = dict.fromkeys(TABLE, Reading.unread(error))
        if self._saved is None or not self._is_in_force(readings):
            # before that is said: it may have been changed since
            self._saved = self._assigner(saving.load(self._context, self._instance))
        return self.reports(readings)

    def _told(self, reading: Reading | None) -> Copy:
        """The host's copy of the policies, as far as this caller may read of it."""
        copy = Copy.of(reading)
        if copy.complaint and not self._context.can(LIST_HOST_RULE, target={}, fatal=False):
            return copy.for_users()
        return copy

    def reports(self, readings: Mapping[str, Reading]) -> dict[str, Report]:
        """The resources that were read, each beside what is saved of it."""
        read = {name: row for name, row in TABLE.items() if name in readings}
        return reports(read, self._targets(readings), self.saved, readings,
                       self._assigner.known(self._copy))

    def waits(self, changes: Iterable[str], readings: Mapping[str, Reading]) -> bool:
        """Whether a part of what was changed is to be applied later."""
        return waits(changes, readings, self._targets(readings), self.saved.marked)

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

    def _save_unapplied(
        self, trace: Trace, changes: Mapping[str, int | None], waits_for: str
    ) -> None:
        entries = saving.save(trace, unapplied(changes), waits_for, while_there([changes]))
        self._saved = self._assigner(self.saved.having(entries))


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
        kept = save_all(sets)
        undo.pop_all()
    return kept


def save_all(sets: Sequence[Done]) -> list[dict[str, Reading]]:
    """As ``keep_all``, but the agent takes nothing back."""
    saved = saving.save_all([
        (trace, applied(changes, answer), why_waiting(changes, answer.readings))
        for _server, trace, changes, answer in sets],
        while_there(changes for _server, _trace, changes, _answer in sets))
    return [server.kept(changes, entries, answer)
            for (server, _trace, changes, answer), entries in zip(sets, saved, strict=True)]
