# SPDX-License-Identifier: Apache-2.0
"""A set: checked against the guest and applied; all of its settings or none."""

from collections.abc import Iterable, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field, replace

from oslo_log import log

from nova_qos.agent import hold
from nova_qos.agent.outcome import SOON_S, Outcome
from nova_qos.core import desired, errors
from nova_qos.core.balloon import Limits
from nova_qos.core.desired import Target
from nova_qos.core.reading import Reading
from nova_qos.core.server import POLICY, Entry, SavedServer
from nova_qos.host import Domain, Host
from nova_qos.resources import TABLE

LOG = log.getLogger(__name__)


@dataclass
class Change:
    """The settings that one request asks for on one server; None unsets.

    Used under the server's lock, once. Nothing is saved here: ``entries`` tells what to save.

    :param after: the server as it is to be, with what its policies come to
    :raises InvalidSetting: two settings of the server would contradict each other
    """

    server: SavedServer
    machine: Host
    settings: Mapping[str, int | None]
    limits: Limits
    after: SavedServer
    targets: dict[str, Target] = field(init=False)
    #: What has become of each by now.
    outcomes: dict[str, Outcome] = field(default_factory=dict, init=False)
    _domain: Domain = field(init=False)
    _before: dict[str, Reading] | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        desired.require_order(TABLE, {**self.after.hooked, **self.after.own})
        resolved = desired.resolve(TABLE, self.after)
        named = [name for name in self.settings if name in TABLE]
        self.targets = {name: resolved[name] for name in desired.held_together(TABLE, named)
                        if name in named or not resolved[name].missing}

    @property
    def host_targets(self) -> dict[str, int]:
        """The targets in the host's units."""
        return {name: target.host_value for name, target in self.targets.items()}

    def carry_out(self) -> dict[str, Outcome]:
        """Carry out the set.

        :returns: an outcome for each setting that a knob holds, pending where it has to wait

        :raises HostCannot, HostRefused: nothing was changed
        """
        try:
            self.prepare()
            self.admit(self.targets)
            with ExitStack() as undo:
                undo.callback(self.undo)
                self.apply(self.targets)
                undo.pop_all()
        except (errors.ServerNotRunning, errors.HostAway) as error:
            self.outcomes = dict.fromkeys(self.targets, _to_come(error))
        return self.outcomes

    def prepare(self) -> None:
        """Refuse settings that the guest cannot follow, before anything is written.

        Those that have to wait, those that the host's balancer looks after, and unset ones that the
        guest cannot follow or this host does not support, have their outcome then, and are not
        written.

        :raises ServerNotRunning, HostAway, HostCannot, HostRefused: why it cannot be
        """
        self._domain = self.machine.domain(self.server.uuid)
        self.targets = hold.at_host(self._domain, self.targets, self.server.flavor)
        self.outcomes = self._guarded(self._domain)
        self._before = self._look(self.targets.keys() - self.outcomes.keys())

    def admit(self, names: Iterable[str]) -> None:
        """Refuse those that the host cannot keep beside what it guarantees to other servers.

        :raises HostRefused, HostCannot: with the numbers
        """
        self._domain.admit(
            {name: self.host_targets[name] for name in names if self._asks_for(name)})

    def giving(self) -> set[str]:
        """Those that need room on the host: more memory or a larger guarantee than the server has,
        with what is written together with them. ``apply`` the others first, and those of other
        servers."""
        before = self._before or {}
        grows = {name for name, target in self.host_targets.items()
                 if TABLE[name].follow or TABLE[name].at_most
                 if name not in before or target > (before[name].asked or 0)}
        return {name for _knob, mine in hold.by_knob(self.targets) for name in mine
                if grows & set(mine)}

    def entries(self, stamp: int) -> dict[str, Entry]:
        """What to save once it was carried out. An unset resource is marked unless a reading shows
        that the host has been reset; what the agent or a policy keeps is marked, too.

        What nobody has set but only a policy reaches gets a stamp just after the one that it had:
        a setting that was saved since this server was loaded is later, and stays.
        """
        kept = desired.to_mark(TABLE, replace(self.after, marked=frozenset()))
        found = {name: Entry(value, stamp=stamp, marked=value is None and (
            _is_pending(self.outcomes.get(name)) or name in kept))
            for name, value in self.settings.items()}
        if POLICY in self.settings:
            marked = {*kept, *(name for name in desired.to_reset(TABLE, self.after)
                               if not _is_reset(self.outcomes.get(name)))}
            found |= {name: Entry(
                marked=name in marked, stamp=self.server.stamps.get(name, 0) + 1)
                for name in {*kept, *self.after.marked} if name not in found}
        return found

    @property
    def by_policy(self) -> list[str]:
        """The resources that another policy may change, beside those that are set."""
        if POLICY not in self.settings:
            return []
        wanted = {*desired.to_reset(TABLE, self.after), *desired.requested(TABLE, self.after)}
        return [name for name in TABLE if name in wanted and name not in self.targets]

    def _asks_for(self, name: str) -> bool:
        """Whether the host is to give something: nothing is asked of it by None or -1, nor of what
        is only written together with the settings."""
        value = self.settings.get(name)
        return value is not None and not TABLE[name].value.is_reset(value)

    def _guarded(self, domain: Domain) -> dict[str, Outcome]:
        balanced = {name for name, target in self.targets.items() if target.balanced}
        unset = [name for name in self.targets if not self._asks_for(name)]
        readings = hold.read(domain, {*unset, *balanced})
        waiting = {name: Outcome(reading) for name, reading in readings.items()
                   if reading.unmet == "unsupported" or name in balanced}
        waiting |= {name: _undecided(each.reading) for name, each in waiting.items()
                    if self.after.balanced.get(name, 0) is None}
        for name in self.targets.keys() - waiting.keys():
            follow = TABLE[name].follow
            try:
                if follow is not None:
                    follow.guard(domain.balloon(), self.host_targets[name], self.limits)
            except errors.ServerNotRunning as error:
                waiting[name] = Outcome.failed(error)
            except errors.HostRefused as error:
                if self._asks_for(name):
                    raise
                waiting[name] = _to_come(error)
        return waiting

    def apply(self, names: Iterable[str]) -> None:
        """Write these, knob by knob, and keep their outcomes. An unset never fails where it can be
        made up for.

        :raises QosError: why one failed; ``undo`` puts back what was written
        """
        left = set(names) - self.outcomes.keys()
        for _knob, mine in hold.by_knob(left):
            targets = {name: self.host_targets[name] for name in mine}
            found = hold.hold(self._domain, targets, self.limits, before=self._before)
            self.outcomes.update(found)
            self.outcomes.update({
                name: _to_come(error) for name in mine if not self._asks_for(name)
                and isinstance(error := found[name].error, errors.HostRefused)})
            _raise_first({name: self.outcomes[name] for name in mine})

    def undo(self) -> None:
        """Put back what was written; what cannot be is logged."""
        _put_back(self._domain, self.outcomes)

    def _look(self, names: Iterable[str]) -> dict[str, Reading] | None:
        """What is there, in one look: knob by knob it takes as long as half of the writing. None
        where each knob has to say by itself what is wrong."""
        knobs = hold.knobs(names)
        if knobs:
            with suppress(errors.HostRefused):
                return hold.read(self.machine.look(self.server.uuid, knobs), names)
        return None


def changed(server: SavedServer, settings: Mapping[str, int | None]) -> SavedServer:
    """The server as these settings make it; what policies come to is as before."""
    kept = {name: each for name, each in server.entries.items() if name not in settings}
    return server.having({**kept, **{name: Entry(value) for name, value in settings.items()}})


def _to_come(error: errors.QosError) -> Outcome:
    return Outcome(Reading.unread(error), SOON_S)


def _undecided(reading: Reading) -> Outcome:
    """Of what the balancer has yet to say about, such as while the server is paused."""
    return Outcome(replace(
        reading, unmet="pending", reason="the host's balancer has yet to say what the server gets"))


def _is_pending(outcome: Outcome | None) -> bool:
    return outcome is not None and outcome.reading.unmet == "pending"


def _is_reset(outcome: Outcome | None) -> bool:
    return outcome is not None and outcome.error is None and outcome.reading.unmet is None


def _raise_first(outcomes: Mapping[str, Outcome]) -> None:
    for outcome in outcomes.values():
        if outcome.error is not None:
            raise outcome.error


def _put_back(domain: Domain, outcomes: Mapping[str, Outcome]) -> None:
    before = {name: outcome.before for name, outcome in outcomes.items()}
    for knob, names in hold.by_knob(before):
        values = {name: value for name in names if (value := before[name]) is not None}
        try:
            if values:
                domain.knob(knob).write(values)
        except errors.QosError as error:
            LOG.warning("Could not restore %s: %s", values, error.message)
