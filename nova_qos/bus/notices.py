# SPDX-License-Identifier: Apache-2.0
"""Sends notifications of the agent where nova's versioned ones go."""

import contextlib
import logging
from collections.abc import Callable
from typing import Any

from nova import rpc

from nova_qos.bus.sending import Sender
from nova_qos.core import errors

#: The longest time for a notification that has no answer.
_SEND_S = 1.0
_log = logging.getLogger(__name__)


def notifier(
    host: str, context: Any
) -> Callable[[str, dict[str, Any], bool], None] | None:
    """What sends an event with a payload, as a warning or not; None where nova.conf asks for no
    versioned notifications ([notifications] notification_format).

    It returns at once; what the broker does not take is lost and logged, as nova's own are.

    :param context: whose they are
    """
    if rpc.NOTIFIER is None or not rpc.NOTIFIER.is_enabled():
        return None
    mine, sender = rpc.get_versioned_notifier(f"nova-qos-agent:{host}"), Sender()
    # while the broker is away, it would wait for it without end
    mine.retry = 0

    def send(event: str, payload: dict[str, Any], is_warning: bool) -> None:
        emit = mine.warn if is_warning else mine.info
        with contextlib.suppress(errors.AgentAway):
            sender.begin(rpc.NOTIFIER, lambda: _sent(emit, context, event, payload), _SEND_S)

    return send


def _sent(emit: Callable[..., None], context: Any, event: str, payload: dict[str, Any]) -> None:
    try:
        emit(context, event, payload)
    except Exception:  # noqa: BLE001
        # nobody waits for it, so nobody else would tell
        _log.exception("cannot send the notification %s", event)
