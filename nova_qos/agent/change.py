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
from nova_qos.core.server import Entry, SavedServer
from nova_qos.host import Domain, Host
from nova_qos.resources import TABLE

LOG = log.getLogger(__name__)


@dataclass
class Change:
    """The settings that one request asks for on one server; None unsets.

    Used under the server's lock, once. Nothing is saved here: ``entries`` tells what to save.

    :raises InvalidSetting: two settings of the server would contradict each other
    """

    server: SavedServer
    machine: Host
    settings: Mapping[str, int | None]
    limits: Limits
    targets: dict[str, Target] = field(init=False)

    def __post_init__(self) -> None:
        kept = {name: value for name, value in self.server.own.items()
                if name not in self.settings}
        asked = {name: value for name, value in self.settings.items() if value is not None}
        desired.require_order(TABLE, {**kept, **asked})
        resolved = desired.resolve(TABLE, replace(self.server, own={**kept, **asked}))
        self.targets = {name: resolved[name]
                        for name in desired.held_together(TABLE, self.settings)}

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
            domain = self.machine.domain(self.server.uuid)
            self.targets = hold.at_host(domain, self.targets, self.server.flavor)
            waiting = self._guarded(domain)
            return waiting | self._applied(domain, self.targets.keys() - waiting.keys())
        except (errors.ServerNotRunning, errors.HostAway) as error:
            return dict.fromkeys(self.targets, _to_come(error))

    def entries(self, outcomes: Mapping[str, Outcome], stamp: int) -> dict[str, Entry]:
        """What to save. An unset resource is marked unless a reading shows that the host has been
        reset, or the agent keeps its default."""
        return {
            name: Entry(value, stamp=stamp, marked=value is None and (
                _is_pending(outcomes.get(name))
                or desired.keeps_default(TABLE[name], self.server.flavor)))
            for name, value in self.settings.items()}

    def _guarded(self, domain: Domain) -> dict[str, Outcome]:
        """Refuse settings that the guest cannot follow, before anything is written.

        :returns: resources not to write now: those that have to wait, and unset ones that the
            guest cannot follow or this host does not support
        """
        unset = [name for name in self.targets if self.settings.get(name) is None]
        readings = hold.read(domain, unset)
        waiting = {name: Outcome(reading) for name, reading in readings.items()
                   if reading.unmet == "unsupported"}
        domain.admit({name: self.host_targets[name] for name, value in self.settings.items()
                      if value is not None})
        for name in self.targets.keys() - waiting.keys():
            follow = TABLE[name].follow
            try:
                if follow is not None:
                    follow.guard(domain.balloon(), self.host_targets[name], self.limits)
            except errors.ServerNotRunning as error:
                waiting[name] = Outcome.failed(error)
            except errors.HostRefused as error:
                if self.settings.get(name) is not None:
                    raise
                waiting[name] = _to_come(error)
        return waiting

    def _applied(self, domain: Domain, names: Iterable[str]) -> dict[str, Outcome]:
        """Write knob by knob; when one fails, undo those before it. An unset never fails where it
        can be made up for.

        :raises QosError: why one failed
        """
        outcomes: dict[str, Outcome] = {}
        names = list(names)
        before = self._before(names)
        with ExitStack() as undo:
            undo.callback(_put_back, domain, outcomes)
            for _knob, mine in hold.by_knob(names):
                targets = {name: self.host_targets[name] for name in mine}
                outcomes.update(hold.hold(domain, targets, self.limits, before=before))
                outcomes.update({
                    name: _to_come(error) for name in mine if self.settings.get(name) is None
                    and isinstance(error := outcomes[name].error, errors.HostRefused)})
                _raise_first(outcomes)
            undo.pop_all()
        return outcomes


    def _before(self, names: Iterable[str]) -> dict[str, Reading] | None:
        """What is there, in one look: knob by knob it takes as long as half of the writing. None
        where each knob has to say by itself what is wrong."""
        knobs = hold.knobs(names)
        if knobs:
            with suppress(errors.HostRefused):
                return hold.read(self.machine.look(self.server.uuid, knobs), names)
        return None


def _to_come(error: errors.QosError) -> Outcome:
    return Outcome(Reading.unread(error), SOON_S)


def _is_pending(outcome: Outcome | None) -> bool:
    return outcome is not None and outcome.reading.unmet == "pending"


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
