# SPDX-License-Identifier: Apache-2.0
"""Tells all agents that policies have changed: one message a cell.

A hint may be lost, since a queue that all agents of a cell share the messages of exists only while
they are connected. The agents' periodic questions make up for that.
"""

import contextlib
import logging
import threading
from collections.abc import Callable, Iterable
from typing import Any

import oslo_messaging as messaging
from nova import rpc

from nova_qos.bus import wire
from nova_qos.bus.sending import Sender
from nova_qos.core import errors

#: An agent that is older takes no notice of a name that ends like this, and logs no error.
METHOD = "policies_changed_ignore_errors"
#: The longest time for a message to a cell.
_CAST_S = 1.0
Cells = Callable[[], Iterable[Any]]
_log = logging.getLogger(__name__)


class Hint:
    """Sends hints on threads of its own, which no caller waits for."""

    def __init__(self) -> None:
        target = messaging.Target(topic=wire.TOPIC, version=wire.FIRST_VERSION)
        self._router = rpc.ClientRouter(rpc.get_client(target, version_cap=wire.VERSION))
        self._sender = Sender()
        self._lock = threading.Lock()
        self._next: tuple[Cells, int] | None = None
        self._is_sending = False

    def send(self, cells: Cells, revision: int) -> None:
        """Tell the agents of these cells that all policies together have this revision by now;
        returns at once, whether they hear it or not.

        :param cells: answers a context for the bus of each; it may take its time
        """
        with self._lock:
            # the latest revision says all that earlier ones would: one thread is enough, however
            # long a broker keeps it
            self._next = (cells, revision)
            if self._is_sending:
                return
            self._is_sending = True
        threading.Thread(target=self._send_all, name="qos-hint", daemon=True).start()

    def _send_all(self) -> None:
        while (hint := self._take()) is not None:
            self._send(*hint)

    def _take(self) -> tuple[Cells, int] | None:
        with self._lock:
            hint, self._next = self._next, None
            self._is_sending = hint is not None
            return hint

    def _send(self, cells: Cells, revision: int) -> None:
        try:
            sent = [self._begin(cell, revision) for cell in cells()]
            for wait in sent:
                with contextlib.suppress(messaging.MessagingException, errors.AgentAway):
                    wait()
        except Exception:  # noqa: BLE001
            # nobody is there to hear it, and agents ask by themselves
            _log.exception("cannot tell agents that policies have changed")

    def _begin(self, cell: Any, revision: int) -> Callable[[], Any]:
        client = self._router.client(cell)
        # 0: while the broker is away, a cast would wait for it without end
        prepared = client.prepare(fanout=True, retry=0)
        with contextlib.suppress(errors.AgentAway):
            return self._sender.begin(
                client.transport, lambda: prepared.cast(cell, METHOD, revision=revision), _CAST_S)
        return lambda: None
