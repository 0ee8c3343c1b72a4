# SPDX-License-Identifier: Apache-2.0
"""The changes of a server's settings as its instance actions tell them.

nova writes system_metadata whole, from a copy that may be older than a set: what was saved is then
gone, or old again. Actions are only ever added to, so they tell what nova has overwritten. The
message of each action of ours is ``qos STAMP KEY=VALUE ...``.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from nova import objects

from nova_qos.core.server import Entries, Entry, newer
from nova_qos.instances.settings import KEYS, MARK, PREFIX, Context

#: How many of a server's last actions are looked through: more than happen to it between two looks
#: of the agent.
LAST = 50
#: nova's names of the action that a server begins with, and of those that launch it once more.
_CREATE = "create"
_LAUNCHING = {"rebuild", "evacuate", "rescue", "resize", "migrate", "unshelve"}
_BY_KEY = {key.removeprefix(PREFIX): name for name, key in KEYS.items()}
_NONE = "none"
#: How the message of each action of ours begins.
BEGINNING = "qos "
_LINE = re.compile(rf"{BEGINNING}(\d{{1,15}})((?: [a-z_]+=(?:-?\d{{1,15}}|{MARK}|{_NONE}))+)")


def line(changes: Entries) -> str:
    """The message of the action that made these changes, all with one stamp."""
    stamp = max(each.stamp for each in changes.values())
    words = [f"{KEYS[name].removeprefix(PREFIX)}={_value(each)}"
             for name, each in changes.items()]
    return BEGINNING + " ".join([str(stamp), *words])


def read(message: str | None) -> dict[str, Entry]:
    """The changes that a message tells; none where it is not one of ours."""
    found = _LINE.fullmatch(message or "")
    if not found:
        return {}
    pairs = [word.split("=") for word in found[2].split()]
    return {_BY_KEY[key]: _entry(value, int(found[1])) for key, value in pairs if key in _BY_KEY}


@dataclass(frozen=True)
class Told:
    """What a server's last actions tell.

    ``changes``: the last change of each resource. ``is_first_launch``: nova has launched it at its
    creation and never again, so that ``launched_at`` is the time of that.
    """

    changes: Entries = field(default_factory=dict)
    is_first_launch: bool = False


def told(context: Context, server_uuid: str) -> Told:
    """What the server's last actions tell."""
    actions = objects.InstanceActionList.get_by_instance_uuid(context, server_uuid, limit=LAST)
    names = {action.action for action in actions}
    return Told(newest(action.message for action in actions),
                _CREATE in names and not names & _LAUNCHING)


def newest(messages: Iterable[str | None]) -> dict[str, Entry]:
    """The last change of each resource that these messages of actions tell of."""
    found: dict[str, Entry] = {}
    for message in messages:
        found |= newer(read(message), found)
    return found


def _value(entry: Entry) -> str:
    return str(entry.value) if entry.value is not None else MARK if entry.marked else _NONE


def _entry(value: str, stamp: int) -> Entry:
    if value in (MARK, _NONE):
        return Entry(None, value == MARK, stamp)
    return Entry(int(value), False, stamp)
