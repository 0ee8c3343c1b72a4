# SPDX-License-Identifier: Apache-2.0
"""Desired state, kept in the instance's system_metadata: one short key a resource.

It follows the instance through every operation and to every host, and dies with it. This is the
only file that loads or saves nova's objects.
"""

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any

from nova import exception, objects

from nova_qos import errors
from nova_qos.model import Flavor
from nova_qos.resources import TABLE

#: What an instance must be loaded with for everything here.
ATTRIBUTES = ("system_metadata", "flavor")

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
    """What nova promised the server."""
    shares = instance.flavor.extra_specs.get("quota:cpu_shares")
    return Flavor(memory_mib=instance.flavor.memory_mb, cpu_shares=int(shares) if shares else None)


def requested(instance: Instance) -> dict[str, int]:
    """The saved settings by resource name; a resource without a setting is absent."""
    saved = instance.system_metadata
    return {
        name: int(saved[row.stored_as]) for name, row in TABLE.items() if row.stored_as in saved
    }


def save(instance: Instance, settings: Mapping[str, int | None]) -> None:
    """Keep the settings as desired state; None forgets one, an absent resource stays as it is.

    :raises TaskInProgress: nova started a task on the server meanwhile; nothing was saved
    :raises ServerGone: the server was deleted meanwhile
    """
    _change(instance, settings)
    try:
        instance.save(expected_task_state=[None])
    except exception.UnexpectedTaskStateError as error:
        raise errors.TaskInProgress(error.format_message()) from error
    except exception.InstanceNotFound as error:
        raise errors.ServerGone(error.format_message()) from error


def restore(context: Context, server_uuid: str, settings: Mapping[str, int | None]) -> None:
    """Put settings back that must not stay saved, whatever nova does with the server by now."""
    with contextlib.suppress(errors.ServerGone, exception.InstanceNotFound):
        instance = load(context, server_uuid)
        _change(instance, settings)
        instance.save()


def _change(instance: Instance, settings: Mapping[str, int | None]) -> None:
    for name, value in settings.items():
        if value is None:
            instance.system_metadata.pop(TABLE[name].stored_as, None)
        else:
            instance.system_metadata[TABLE[name].stored_as] = str(value)


def register_service(context: Context, host: str, binary: str, topic: str) -> None:
    """Make a service's row, so that ``compute service list`` shows it."""
    service = objects.Service(
        context, host=host, binary=binary, topic=topic, report_count=0)
    # With versioned notifications on, nova-conductor makes the row and then fails to announce it:
    # the notification knows nova's own services only.
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
