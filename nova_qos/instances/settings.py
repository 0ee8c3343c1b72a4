# SPDX-License-Identifier: Apache-2.0
"""A server's own settings, kept in the instance's system_metadata: one short key a resource.

They follow the instance through every operation and to every host, and die with it.
"""

import contextlib
from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any

from nova import conf as nova_conf
from nova import exception, objects

from nova_qos.core import desired, errors
from nova_qos.core.server import Flavor, NewServer, SavedServer
from nova_qos.resources import TABLE

#: What an instance must be loaded with for everything here.
ATTRIBUTES = ("system_metadata", "flavor")
#: Saved instead of a setting: nothing is requested, but the host holds, or may hold, a value of
#: ours that nova does not know and that must be reset.
_MARK = "lifted"
_CREATED = "qos:created"
#: The longest time from a server's request to its launch; a later launch means an unshelved one.
_LONGEST_BUILD = timedelta(hours=1)

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


def saved_server(instance: Instance) -> SavedServer:
    """The server with its desired state."""
    saved = {name: instance.system_metadata[row.names.stored_as] for name, row in TABLE.items()
             if row.names.stored_as in instance.system_metadata}
    # one that nova has yet to place comes from its build request, which holds no task
    task = instance.task_state if instance.obj_attr_is_set("task_state") else None
    return SavedServer(
        uuid=instance.uuid, host=instance.host, task=task,
        flavor=flavor_of(instance),
        own={name: int(value) for name, value in saved.items() if value != _MARK},
        marked=frozenset(name for name, value in saved.items() if value == _MARK))


def flavor_of(instance: Instance) -> Flavor:
    """What nova promised the server, and the operator."""
    shares = instance.flavor.extra_specs.get("quota:cpu_shares")
    per_vcpu = nova_conf.CONF.nova_qos.cpu_share_per_vcpu
    return Flavor(
        memory_mib=instance.flavor.memory_mb,
        cpu_shares=int(shares) if shares else None,
        fair_cpu_shares=per_vcpu * instance.flavor.vcpus if per_vcpu and not shares else None)


def request(instance: Instance, settings: Mapping[str, int | None]) -> None:
    """Save settings by resource; None unsets one and marks it, so that its value is reset on the
    host. A resource that is not named stays as it is.

    :raises TaskInProgress: nova started a task on the server meanwhile; nothing was saved
    :raises ServerGone: the server was deleted meanwhile
    """
    _change(instance, settings)
    _save(instance)


def forget(instance: Instance, names: Iterable[str]) -> None:
    """Take the marks off resources that the host was seen to hold no value of ours for. Where the
    agent keeps a default, the mark stays.

    :raises TaskInProgress, ServerGone: as ``request``
    """
    _unmark(instance, names)
    _save(instance)


def forget_anyway(context: Context, server_uuid: str, names: Iterable[str]) -> None:
    """As ``forget``, whatever nova does with the server by now."""
    with contextlib.suppress(errors.ServerGone, exception.InstanceNotFound):
        instance = load(context, server_uuid)
        _unmark(instance, names)
        instance.save()


def restore(context: Context, before: SavedServer, names: Iterable[str]) -> None:
    """Put the settings and marks of the named resources back to what they were, whatever nova
    does with the server by now."""
    with contextlib.suppress(errors.ServerGone, exception.InstanceNotFound):
        instance = load(context, before.uuid)
        named = list(names)
        _change(instance, {name: before.own.get(name) for name in named})
        _unmark(instance, [name for name in named
                           if name not in before.own and name not in before.marked])
        instance.save()


def mark_defaults(instance: Instance) -> None:
    """Mark the defaults that the agent applies and nova does not know, so that the agent resets
    them when the option is switched off.

    :raises TaskInProgress, ServerGone: as ``request``
    """
    unmarked = [name for name in _kept_defaults(instance)
                if TABLE[name].names.stored_as not in instance.system_metadata]
    if unmarked:
        request(instance, dict.fromkeys(unmarked))


def is_new(instance: Instance, host: str, since: float) -> bool:
    """Whether the server was created on this host after that time (s since 1970), and no
    post-create hook has seen it."""
    if _CREATED in instance.system_metadata or instance.launched_on != host:
        return False
    launched = instance.launched_at
    return launched is not None and launched.timestamp() >= since and (
        launched - instance.created_at < _LONGEST_BUILD)


def request_for_new(instance: Instance, settings: Mapping[str, int | None]) -> None:
    """Save the settings of a new server's hooks unless a user has set the resource, and record that
    the hooks have run.

    :raises TaskInProgress, ServerGone: as ``request``
    """
    own = saved_server(instance).own
    instance.system_metadata[_CREATED] = "1"
    _change(instance, {name: value for name, value in settings.items()
                       if name not in own and value is not None})
    _save(instance)


def new_server(instance: Instance) -> NewServer:
    """The server as post-create hooks see it."""
    return NewServer(
        uuid=instance.uuid, name=instance.display_name, project_id=instance.project_id,
        flavor=flavor_of(instance), extra_specs=dict(instance.flavor.extra_specs))


def _kept_defaults(instance: Instance) -> list[str]:
    flavor = flavor_of(instance)
    return [name for name, row in TABLE.items() if desired.keeps_default(row, flavor)]


def _change(instance: Instance, settings: Mapping[str, int | None]) -> None:
    for name, value in settings.items():
        key = TABLE[name].names.stored_as
        instance.system_metadata[key] = _MARK if value is None else str(value)


def _unmark(instance: Instance, names: Iterable[str]) -> None:
    kept = _kept_defaults(instance)
    for name in names:
        key = TABLE[name].names.stored_as
        if instance.system_metadata.get(key) == _MARK and name not in kept:
            del instance.system_metadata[key]


def _save(instance: Instance) -> None:
    try:
        instance.save(expected_task_state=[None])
    except exception.UnexpectedTaskStateError as error:
        raise errors.TaskInProgress(error.format_message()) from error
    except exception.InstanceNotFound as error:
        raise errors.ServerGone(error.format_message()) from error
