# SPDX-License-Identifier: Apache-2.0
"""What is to be saved of a set, given what is saved by now."""

import time
from collections.abc import Callable, Container, Iterable, Mapping
from dataclasses import replace

from nova_qos.api.assigning import require_still_there
from nova_qos.bus.wire import SetAnswer
from nova_qos.core.server import POLICY, Entries, Entry, next_stamp
from nova_qos.instances.saving import Changes

Settings = Mapping[str, int | None]


def unapplied(changes: Settings) -> Changes:
    """Of a set that no agent has carried out."""
    return lambda known: _entries(changes, known, changes)


def applied(changes: Settings, answer: SetAnswer) -> Changes:
    """Of a set that an agent has carried out."""
    pending = {name for name, each in answer.readings.items() if each.unmet == "pending"}

    def made(known: Entries) -> Entries:
        if not answer.entries:
            return _entries(changes, known, pending)
        return {**{name: each for name, each in answer.entries.items() if name in changes},
                **_marks(changes, known, answer.entries)}

    return made


def while_there(sets: Iterable[Settings]) -> Callable[[], None]:
    """What refuses to save sets of a policy that was deleted since it was looked up. To be called
    right before the save ends: who deletes a policy looks for its servers later."""
    numbers = {each.get(POLICY) for each in sets}

    def check() -> None:
        for number in numbers:
            require_still_there(number)

    return check


def _marks(changes: Settings, known: Entries, entries: Entries) -> dict[str, Entry]:
    """Of what the agent wants saved, the marks of what its policy gives: no reason to forget a
    setting that was saved since, but as late as the set, like the line that tells of both."""
    stamp = max(each.stamp for each in entries.values())
    return {name: replace(each, stamp=stamp) for name, each in entries.items()
            if name not in changes and known.get(name, Entry()).value is None}


def _entries(changes: Settings, known: Entries, pending: Container[str]) -> dict[str, Entry]:
    stamp = next_stamp(known, time.time())
    return {name: Entry(value, value is None and name in pending and name != POLICY, stamp)
            for name, value in changes.items()}
