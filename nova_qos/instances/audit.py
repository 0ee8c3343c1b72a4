# SPDX-License-Identifier: Apache-2.0
"""The trace that every change leaves: an instance action (``server event list``)."""

import contextlib
from collections.abc import Iterator

from nova import objects

from nova_qos.core import errors
from nova_qos.instances.settings import Context, Instance

_LONGEST = 255


@contextlib.contextmanager
def recorded(context: Context, instance: Instance, action: str, what: str) -> Iterator[None]:
    """Leave an instance action with who did what, and how it ended."""
    context = context.elevated()
    objects.InstanceAction.action_start(context, instance.uuid, action, want_result=False)
    event, what = objects.InstanceActionEvent, what[:_LONGEST]
    event.event_start(context, instance.uuid, what, want_result=False, host=instance.host)
    failure = {"exc_val": "unexpected error", "exc_tb": "unexpected error"}
    try:
        yield
        failure = {}
    except errors.QosError as error:
        failure = {"exc_val": error.message, "exc_tb": error.message}
        raise
    finally:
        event.event_finish_with_failure(
            context, instance.uuid, what, want_result=False, **failure)
