# SPDX-License-Identifier: Apache-2.0
"""Waiting for guests that have yet to reach what many servers were set to."""

from collections.abc import Sequence

from nova_qos.api.item import Begun
from nova_qos.bus.many import ManyClient
from nova_qos.core import errors


def follow(many: ManyClient, host: str | None, sets: Sequence[Begun]) -> None:
    """Wait for guests that have yet to reach a value."""
    moving = {each.trace.server_uuid: answer for each in sets
              if (answer := each.moving) is not None}
    if host is None or not moving:
        return
    try:
        followed = many.followed(sets[0].server.context, host, moving)
    except errors.Unreachable:
        # what was read is true, and the agent goes on
        return
    for each in sets:
        each.readings = {**each.readings, **followed.get(each.trace.server_uuid, {})}
