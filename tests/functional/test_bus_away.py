# SPDX-License-Identifier: Apache-2.0
"""The broker is away: no thread of the API is held for longer than ``rpc_timeout``, and a bit.

The driver is oslo.messaging's own for RabbitMQ, with its connections, retries and locks.
"""

import logging
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import nova.conf
import oslo_messaging as messaging
import pytest
from nova import rpc

from tests.functional.caller import ADMIN, READER
from tests.functional.cloud import Server, eventually
from tests.functional.policies import create, send
from tests.pace import Stopwatch

#: Twelve readers one after another would wait for 24 s.
TIMEOUT, A_BIT = 2, 8
#: nova's own; the one that nova's tests put in its place cannot be sent over a real bus.
_SERIALIZER = rpc.RequestContextSerializer
Away = Callable[[], Any]


@pytest.fixture(params=["refused", "silent"])
def away(
    request: pytest.FixtureRequest, option: Callable[[str, object], None],
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[None]:
    """Every message of ours goes to a broker that refuses connections, or never answers them."""
    option("rpc_timeout", TIMEOUT)
    # the driver's threads go on trying, and would say so while later tests look at what is printed
    logging.getLogger("oslo.messaging._drivers.impl_rabbit").disabled = True
    with socket.socket() as broker:
        broker.bind(("127.0.0.1", 0))
        if request.param == "silent":
            broker.listen(1)
        url = f"rabbit://guest:guest@127.0.0.1:{broker.getsockname()[1]}/"
        transport = messaging.get_rpc_transport(nova.conf.CONF, url=url)
        monkeypatch.setattr(rpc.ClientRouter, "client", lambda self, _context: (
            messaging.get_rpc_client(
                transport, self.target, version_cap=self.version_cap,
                serializer=_SERIALIZER(None))))
        yield


@pytest.mark.usefixtures("away")
def test_gets_and_sets_while_the_broker_is_away(server: Server) -> None:
    with Stopwatch() as watch:
        answer = ADMIN.act(server, "set-cpu-priority", {"share": 77})
    assert (answer.status, answer.body["state"]) == (202, "pending"), answer
    assert "the message bus did" in answer.body["reason"]
    assert watch.seconds < TIMEOUT + A_BIT
    assert server.saved() == {"cpu_priority": 77}
    for _ in range(2):
        with Stopwatch() as watch, ThreadPoolExecutor(12) as readers:
            answers = list(readers.map(
                lambda _: READER.act(server, "get-cpu-priority"), range(12)))
        assert {each.status for each in answers} == {503}
        assert watch.seconds < TIMEOUT + A_BIT
    # those that the broker holds are enough: no more threads are given to it
    held = _count("qos-send")
    with Stopwatch() as watch:
        shown = READER.act(server, "get-qos")
    assert (shown.status, shown.body["cpu_priority"]["requested"]) == (200, 77)
    assert watch.seconds < TIMEOUT + A_BIT
    assert 0 < _count("qos-send") <= held


@pytest.mark.usefixtures("away", "policies")
def test_policies_are_changed_while_the_broker_is_away() -> None:
    """Nobody waits for the hint to agents."""
    before = _count("qos-send")
    with Stopwatch() as watch:
        policy = create()
        for number in range(40):
            changed = send("PUT", f"/{policy}", {"policy": {"description": str(number)}})
            assert changed.status == 200
    assert watch.seconds < A_BIT
    # nor do the threads that send it pile up: the latest revision says all that the others would
    assert _count("qos-hint") <= 1
    assert _count("qos-send") - before <= 3
    eventually(lambda: not _count("qos-hint"))


def _count(name: str) -> int:
    return [each.name for each in threading.enumerate()].count(name)
