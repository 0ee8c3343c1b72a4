# SPDX-License-Identifier: Apache-2.0
"""Several servers of this host changed together: all of them or none."""

import time
from collections.abc import Collection, Mapping, Sequence
from contextlib import ExitStack

from nova_qos.agent.change import Change
from nova_qos.agent.locks import locked
from nova_qos.agent.look import Looker
from nova_qos.agent.sets import PROMISES, Sets
from nova_qos.agent.unfinished import Unfinished
from nova_qos.bus.wire import Result, SetAnswer, Wish
from nova_qos.core import errors
from nova_qos.core.server import POLICY

#: What takes a change back that nobody saved has had its turn after this many times the API's
#: patience.
_PATIENCE = 2


class Together:
    """Carries out changes of several servers; used by many threads."""

    def __init__(self, sets: Sets, looker: Looker, unfinished: Unfinished) -> None:
        self._sets, self._looker, self._unfinished = sets, looker, unfinished

    def carry_out_each(
        self, wishes: Sequence[Wish], force: bool, answer_by: float
    ) -> dict[str, Result]:
        """Change all of the servers or none, with readings of what was set; those that give are
        changed before those that get.

        :returns: by server; where none was changed, an error each, or for all of them that a guest
            has yet to report
        :raises HostCannot: the agent cannot note what it begins
        """
        uuids = sorted(wish.server.uuid for wish in wishes)
        try:
            with ExitStack() as locks:
                # in one order, and the promises last as everybody takes them
                for name in (*uuids, PROMISES):
                    locks.enter_context(locked(name, answer_by))
                return self._carry_out(wishes, force, answer_by)
        except _Refused as error:
            for wish in wishes:
                told = error.results[wish.server.uuid]
                if isinstance(told, errors.QosError):
                    self._looker.history.counts.failed(wish.settings.keys() - {POLICY}, told)
            return error.results
        except errors.AgentAway as error:
            return dict.fromkeys(uuids, errors.AgentAway(error.message))

    def _carry_out(
        self, wishes: Sequence[Wish], force: bool, answer_by: float
    ) -> dict[str, Result]:
        changes = [self._sets.change(self._looker.roster.newest(wish.server), wish.settings, force)
                   for wish in wishes]
        _prepare(changes)
        self._unfinished.begin(
            {each.server.uuid: each.targets for each in changes}, self._patience_s())
        with ExitStack() as undo:
            for change in changes:
                undo.callback(change.undo)
            giving = {change.server.uuid: change.giving() for change in changes}
            for change in changes:
                _write(changes, change, change.targets.keys() - giving[change.server.uuid])
            for change in changes:
                _write(changes, change, giving[change.server.uuid])
            if time.monotonic() > answer_by:
                # nobody waits any more, so nobody would save it
                raise errors.AgentAway("the host took too long; nothing was changed")
            undo.pop_all()
        answers = {each.server.uuid: self._sets.answer(each) for each in changes}
        for uuid, answer in answers.items():
            self._looker.roster.accept(
                uuid, answer.entries, self._looker.options.nova_qos.rpc_timeout)
        return dict(answers)

    def _patience_s(self) -> float:
        return float(_PATIENCE * self._looker.options.nova_qos.rpc_timeout)


def _prepare(changes: Sequence[Change]) -> None:
    reasons: dict[str, errors.QosError] = {}
    for change in changes:
        try:
            change.prepare()
        except errors.QosError as error:
            reasons[change.server.uuid] = error
    if reasons:
        raise _Refused(changes, reasons)


def _write(changes: Sequence[Change], change: Change, names: Collection[str]) -> None:
    try:
        change.admit(names)
        change.apply(names)
    except errors.QosError as error:
        raise _Refused(changes, {change.server.uuid: error}) from error


class _Refused(Exception):
    """Nothing was changed; ``results`` say why, by server."""

    def __init__(
        self, changes: Sequence[Change], reasons: Mapping[str, errors.QosError]
    ) -> None:
        super().__init__()
        others = errors.HostRefused("not changed, since another server of the request was not")
        self.results: dict[str, Result] = {
            change.server.uuid: reasons.get(change.server.uuid, others) for change in changes}
        early = next((each for each in reasons.values()
                      if isinstance(each, errors.TooEarly)), None)
        if early is not None and all(isinstance(each, errors.TooEarly)
                                     for each in reasons.values()):
            # all of them are to be asked again
            self.results = dict.fromkeys(self.results, SetAnswer(too_early=early))
