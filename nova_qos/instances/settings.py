# SPDX-License-Identifier: Apache-2.0
"""A server's desired state in the instance's system_metadata: two short keys a resource, one for
the setting, one for the stamp of its last change.

It follows the instance through every operation and to every host, and dies with it. nova writes
that dictionary whole, from a copy that may be old: see ``journal``.
"""

import re
from collections.abc import Mapping
from typing import Any

from nova import conf as nova_conf
from nova import exception, objects

from nova_qos.core import errors
from nova_qos.core.server import (
    FLAVOR_POLICY,
    POLICY,
    Called,
    Entries,
    Entry,
    Flavor,
    NewServer,
    SavedServer,
)
from nova_qos.instances import mobility
from nova_qos.resources import TABLE

#: What an instance must be loaded with for everything here.
ATTRIBUTES = ("system_metadata", "flavor")
#: What all our keys begin with.
PREFIX = "qos:"
#: Saved instead of a setting: nothing is requested, but the host holds, or may hold, a value of
#: ours that nova does not know and that must be reset.
MARK = "lifted"
#: Follows a setting's key in the key of its stamp.
_STAMP = "@"
_NUMBER = re.compile(r"-?\d{1,15}", re.ASCII)
_SHARES = "quota:cpu_shares"
#: What each entry of a server is saved under.
KEYS = {**{name: row.names.stored_as for name, row in TABLE.items()}, POLICY: "qos:policy"}
#: Follows the stamp of a value that a post-create hook gave.
_BY_HOOK = "h"
_MARKED_STAMP = re.compile(rf"(\d{{1,15}})({_BY_HOOK}?)", re.ASCII)
#: The post-create hooks have seen the server, or are never to see it.
CREATED = "qos:created"

# nova ships no types, and its object classes exist only once they are registered
Context = Any
Instance = Any


def load(context: Context, server_uuid: str) -> Instance:
    """The instance as nova has it now.

    :raises ServerGone: it was deleted
    """
    try:
        return objects.Instance.get_by_uuid(context, server_uuid, expected_attrs=list(ATTRIBUTES))
    except exception.InstanceNotFound as error:
        raise errors.ServerGone(error.format_message()) from error


def saved_server(instance: Instance, kept: Mapping[str, str] | None = None) -> SavedServer:
    """The server with its desired state.

    :param kept: our keys of system_metadata with their values; None: as the instance has them
    """
    if kept is None:
        kept = instance.system_metadata
    # one that nova has yet to place comes from its build request, which holds no task
    task = instance.task_state if instance.obj_attr_is_set("task_state") else None
    return SavedServer(
        uuid=instance.uuid, host=instance.host, task=task, flavor=flavor_of(instance),
        unreadable=_unreadable(kept), project=instance.project_id or "",
        mobility=mobility.of(instance),
    ).having(entries_of(kept))


def entries_of(kept: Mapping[str, str]) -> dict[str, Entry]:
    """The entries that are saved under keys of system_metadata; one that cannot be read is left
    out, so that what the journal tells of it counts."""
    found = {}
    for name, key in KEYS.items():
        value, stamp = kept.get(key), kept.get(key + _STAMP)
        if _is_readable(value) and (value is not None or stamp is not None):
            read = _MARKED_STAMP.fullmatch(stamp or "")
            found[name] = Entry(
                None if value in (None, MARK) else int(value), value == MARK,
                int(read[1]) if read else 0, read is not None and bool(read[2]))
    return found


def _is_readable(value: str | None) -> bool:
    return value in (None, MARK) or _NUMBER.fullmatch(str(value)) is not None


def _unreadable(kept: Mapping[str, str]) -> dict[str, str]:
    """By resource, the settings that are saved and cannot be read."""
    return {name: f"the saved setting {key} is {value[:40]!r}, which is no number"
            for name, row in TABLE.items()
            if not _is_readable(value := kept.get(key := row.names.stored_as, MARK))}


def kept_as(entries: Entries) -> dict[str, str | None]:
    """The keys of system_metadata that entries are saved under, with their values; None: without
    the key."""
    kept: dict[str, str | None] = {}
    for name, entry in entries.items():
        key = KEYS[name]
        kept[key] = str(entry.value) if entry.value is not None else MARK if entry.marked else None
        # releases before policies take the stamp of a hook's value for none
        kept[key + _STAMP] = (
            f"{entry.stamp}{_BY_HOOK if entry.by_hook else ''}" if entry.stamp else None)
    return kept


def flavor_of(instance: Instance) -> Flavor:
    """What nova promised the server, and the operator."""
    # before microversion 2.86 of its API, nova takes anything
    shares = instance.flavor.extra_specs.get(_SHARES)
    number, faults = None, {}
    try:
        number = int(shares) if shares else None
    except ValueError:
        faults["cpu_priority"] = (
            f"the flavor's {_SHARES} is {shares[:40]!r}, which is no whole number")
    per_vcpu = nova_conf.CONF.nova_qos.cpu_share_per_vcpu
    return Flavor(
        memory_mib=instance.flavor.memory_mb, cpu_shares=number, faults=faults,
        vcpus=instance.flavor.vcpus, policy=instance.flavor.extra_specs.get(FLAVOR_POLICY),
        fair_cpu_shares=per_vcpu * instance.flavor.vcpus if per_vcpu and not shares else None)


def called(instance: Instance) -> Called:
    """What a server is called by others."""
    return Called(instance.display_name or "", instance.project_id or "",
                  instance.flavor.name or "", instance.name)


def floating_ips(instance: Instance) -> frozenset[str]:
    """The floating IPs of a server that was loaded with its ``info_cache``, where nova keeps what
    neutron tells it; nova refreshes it when neutron says that one has come or gone."""
    cache = instance.info_cache
    network = cache.network_info if cache is not None else None
    return frozenset(each["address"] for each in (network.floating_ips() if network else ()))


def is_new(instance: Instance, host: str, since: float) -> bool:
    """Whether the server was launched on this host after that time (s since 1970), and it has yet
    to be decided whether post-create hooks are to see it.

    ``launched_at`` alone does not tell a new server: a rebuild, a rescue and others set it, too.
    """
    if CREATED in instance.system_metadata or instance.launched_on != host:
        return False
    launched = instance.launched_at
    return launched is not None and launched.timestamp() >= since


def new_server(instance: Instance) -> NewServer:
    """The server as post-create hooks see it."""
    return NewServer(
        uuid=instance.uuid, name=instance.display_name, project_id=instance.project_id,
        flavor=flavor_of(instance), extra_specs=dict(instance.flavor.extra_specs))
