# SPDX-License-Identifier: Apache-2.0
"""Desired state, kept in the instance's system_metadata: one short key a resource.

It follows the instance through every operation and to every host, and dies with it. This is the
only file that loads or saves nova's objects.
"""

import contextlib
from collections.abc import Container, Iterator, Mapping
from datetime import timedelta
from typing import Any

from nova import conf as nova_conf
from nova import context as nova_context
from nova import exception, objects

from nova_qos import conf, errors
from nova_qos.model import Flavor, NewServer
from nova_qos.resources import TABLE

conf.register(nova_conf.CONF)

#: What an instance must be loaded with for everything here.
ATTRIBUTES = ("system_metadata", "flavor")
#: Of lists: servers that are made meanwhile come before what was listed already, as in nova's own.
SORTING = {"sort_keys": ["created_at", "id"], "sort_dirs": ["desc", "desc"]}
#: Saved instead of a setting where the host holds, or may hold, what is not nova's own and is to be
#: taken off it: now, or once the default is to be kept no more.
_LIFTED = "lifted"
_CREATED = "qos:created"
#: Between the request for a server and its launch; a longer time means that it was unshelved.
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


def flavor_of(instance: Instance) -> Flavor:
    """What nova promised the server, and the operator."""
    shares = instance.flavor.extra_specs.get("quota:cpu_shares")
    per_vcpu = nova_conf.CONF.nova_qos.cpu_share_per_vcpu
    return Flavor(
        memory_mib=instance.flavor.memory_mb,
        cpu_shares=int(shares) if shares else None,
        fair_cpu_shares=per_vcpu * instance.flavor.vcpus if per_vcpu and not shares else None)


def requested(instance: Instance) -> dict[str, int]:
    """The saved settings by resource name; a resource without a setting is absent."""
    saved = instance.system_metadata
    return {name: int(saved[row.stored_as]) for name, row in TABLE.items()
            if saved.get(row.stored_as, _LIFTED) != _LIFTED}


def wanted(instance: Instance) -> dict[str, int | None]:
    """What the host is to hold: the saved settings, and None for a default that the agent keeps."""
    return {**dict.fromkeys(_kept_defaults(instance)), **requested(instance)}


def lifted(instance: Instance) -> list[str]:
    """The resources whose setting, or kept default, is still to be taken off the host."""
    saved, kept = instance.system_metadata, _kept_defaults(instance)
    return [name for name, row in TABLE.items()
            if saved.get(row.stored_as) == _LIFTED and name not in kept]


def _kept_defaults(instance: Instance) -> list[str]:
    flavor = flavor_of(instance)
    return [name for name, row in TABLE.items() if row.keeps_default(flavor)]


def mark_defaults(instance: Instance) -> None:
    """Note that the host holds defaults that nova knows nothing of, so that they are taken off it
    once they are to be kept no more.

    :raises TaskInProgress, ServerGone: as ``save``
    """
    unknown = [name for name in _kept_defaults(instance)
               if TABLE[name].stored_as not in instance.system_metadata]
    if unknown:
        save(instance, dict.fromkeys(unknown))


def save(
    instance: Instance, settings: Mapping[str, int | None], later: Container[str] = ()
) -> None:
    """Keep the settings as desired state; None forgets one, an absent resource stays as it is.

    :param later: resources of which a forgotten setting is still to be taken off the host
    :raises TaskInProgress: nova started a task on the server meanwhile; nothing was saved
    :raises ServerGone: the server was deleted meanwhile
    """
    _change(instance, settings, later)
    try:
        instance.save(expected_task_state=[None])
    except exception.UnexpectedTaskStateError as error:
        raise errors.TaskInProgress(error.format_message()) from error
    except exception.InstanceNotFound as error:
        raise errors.ServerGone(error.format_message()) from error


def restore(
    context: Context, server_uuid: str, settings: Mapping[str, int | None],
    later: Container[str] = (),
) -> None:
    """Put settings as they must be, whatever nova does with the server by now."""
    with contextlib.suppress(errors.ServerGone, exception.InstanceNotFound):
        instance = load(context, server_uuid)
        _change(instance, settings, later)
        instance.save()


def _change(
    instance: Instance, settings: Mapping[str, int | None], later: Container[str]
) -> None:
    kept = _kept_defaults(instance)
    for name, value in settings.items():
        key = TABLE[name].stored_as
        if value is not None:
            instance.system_metadata[key] = str(value)
        elif name in later or name in kept:
            instance.system_metadata[key] = _LIFTED
        else:
            instance.system_metadata.pop(key, None)


def on_host(context: Context, host: str) -> list[Instance]:
    """The servers of a host."""
    return list(objects.InstanceList.get_by_host(
        context, host, expected_attrs=list(ATTRIBUTES)))


@contextlib.contextmanager
def cell_of(context: Context, host: str) -> Iterator[Context]:
    """A context with all rights in the cell of a compute host, for its database and its bus.

    :raises NoSuchHost: nova knows none of this name
    """
    try:
        mapping = objects.HostMapping.get_by_host(context, host)
    except exception.HostMappingNotFound as error:
        raise errors.NoSuchHost(f"there is no compute host {host}") from error
    with nova_context.target_cell(context.elevated(), mapping.cell_mapping) as cell:
        yield cell


def node_of(cell: Context, host: str) -> Any:
    """What nova has been told of the machine that a compute host is.

    :raises NoSuchHost: nothing
    """
    try:
        return objects.ComputeNode.get_first_node_by_host_for_old_compat(cell, host)
    except exception.ComputeHostNotFound as error:
        raise errors.NoSuchHost(f"there is no compute host {host}") from error


def page_of_host(cell: Context, host: str, limit: int, marker: str | None) -> list[Instance]:
    """Up to ``limit`` servers of a host, those after the marker, in the order of ``SORTING``.

    :raises nova.exception.MarkerNotFound: the cell never had that server
    """
    return list(objects.InstanceList.get_by_filters(
        cell, {"host": host, "deleted": False}, limit=limit, marker=marker,
        expected_attrs=list(ATTRIBUTES), **SORTING))


def is_new(instance: Instance, host: str, since: float) -> bool:
    """Whether the server was created on this host after that time (s since 1970), and its
    creation has not been dealt with."""
    if _CREATED in instance.system_metadata or instance.launched_on != host:
        return False
    launched = instance.launched_at
    return launched is not None and launched.timestamp() >= since and (
        launched - instance.created_at < _LONGEST_BUILD)


def save_of_new(instance: Instance, settings: Mapping[str, int | None]) -> None:
    """Keep the settings of a new server that nobody else has set, and that it was dealt with.

    :raises TaskInProgress, ServerGone: as ``save``
    """
    known = requested(instance)
    instance.system_metadata[_CREATED] = "1"
    save(instance, {name: value for name, value in settings.items() if name not in known})


def describe(instance: Instance) -> NewServer:
    """A server as post-create hooks see it."""
    return NewServer(
        uuid=instance.uuid, name=instance.display_name, project_id=instance.project_id,
        flavor=flavor_of(instance), extra_specs=dict(instance.flavor.extra_specs))


def register_service(context: Context, host: str, binary: str, topic: str) -> None:
    """Make a service's row, so that ``compute service list`` shows it."""
    service = objects.Service(
        context, host=host, binary=binary, topic=topic, report_count=0)
    # nova-conductor makes the row and then fails to announce it: its notifications know nova's own
    # services only.
    with contextlib.suppress(ValueError):
        service.create()


@contextlib.contextmanager
def recorded(context: Context, instance: Instance, action: str, what: str) -> Iterator[None]:
    """Leave an instance action with who did what, and how it ended (``server event list``)."""
    context = context.elevated()
    objects.InstanceAction.action_start(context, instance.uuid, action, want_result=False)
    event = objects.InstanceActionEvent
    event.event_start(context, instance.uuid, what[:255], want_result=False, host=instance.host)
    failure = {"exc_val": "unexpected error", "exc_tb": "unexpected error"}
    try:
        yield
        failure = {}
    except errors.QosError as error:
        failure = {"exc_val": error.message, "exc_tb": error.message}
        raise
    finally:
        event.event_finish_with_failure(
            context, instance.uuid, what[:255], want_result=False, **failure)
