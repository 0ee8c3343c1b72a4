# SPDX-License-Identifier: Apache-2.0
"""The changes of a server's settings as its instance actions tell them.

nova writes system_metadata whole, from a copy that may be older than a set: what was saved is then
gone, or old again. Actions are only ever added to, so they tell what nova has overwritten. The
message of each action of ours is ``qos STAMP KEY=VALUE ...``.
"""

import re
from collections.abc import Iterable

from nova import objects

from nova_qos.core.server import Entries, Entry, newer
from nova_qos.instances.settings import MARK, PREFIX, Context
from nova_qos.resources import TABLE

#: How many of a server's last actions are looked through: more than happen to it between two looks
#: of the agent.
_LAST = 50
_BY_KEY = {row.names.stored_as.removeprefix(PREFIX): name for name, row in TABLE.items()}
_LINE = re.compile(rf"qos (\d{{1,15}})((?: [a-z_]+=(?:-?\d{{1,15}}|{MARK}|none))+)")


def line(changes: Entries) -> str:
    """The message of the action that made these changes, all with one stamp."""
    stamp = max(each.stamp for each in changes.values())
    words = [f"{TABLE[name].names.stored_as.removeprefix(PREFIX)}={_value(each)}"
             for name, each in changes.items()]
    return " ".join(["qos", str(stamp), *words])


def read(message: str | None) -> dict[str, Entry]:
    """The changes that a message tells; none where it is not one of ours."""
    found = _LINE.fullmatch(message or "")
    if not found:
        return {}
    pairs = [word.split("=") for word in found[2].split()]
    return {_BY_KEY[key]: _entry(value, int(found[1])) for key, value in pairs if key in _BY_KEY}


def last_changes(context: Context, server_uuid: str) -> dict[str, Entry]:
    """The last change of each resource that the server's actions tell of."""
    actions = objects.InstanceActionList.get_by_instance_uuid(context, server_uuid, limit=_LAST)
    return _newest(read(action.message) for action in actions)


def _newest(all_changes: Iterable[Entries]) -> dict[str, Entry]:
    newest: dict[str, Entry] = {}
    for changes in all_changes:
        newest |= newer(changes, newest)
    return newest


def _value(entry: Entry) -> str:
    return str(entry.value) if entry.value is not None else MARK if entry.marked else "none"


def _entry(value: str, stamp: int) -> Entry:
    if value in (MARK, "none"):
        return Entry(None, value == MARK, stamp)
    return Entry(int(value), False, stamp)
