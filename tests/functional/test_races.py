# SPDX-License-Identifier: Apache-2.0
"""Many at once: everybody is answered, and what is saved is what the host holds."""

import random
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from nova_qos.core.errors import HostRefused
from tests.functional.caller import ADMIN, Answer
from tests.functional.cloud import Server
from tests.functional.values import SETTINGS, UNSET
from tests.pace import LONG_S


def test_two_sets_on_one_server(server: Server) -> None:
    """The first is held inside its write until the second has been sent."""
    inside, may_go_on = threading.Event(), threading.Event()

    def hold(name: str, value: int) -> None:
        if value == 111:
            inside.set()
            may_go_on.wait(2 * LONG_S)

    server.domain.before_write = hold
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(ADMIN.act, server, "set-cpu-priority", {"share": 111})
        assert inside.wait(LONG_S)
        second = pool.submit(ADMIN.act, server, "set-cpu-priority", {"share": 222})
        threading.Timer(0.5, may_go_on.set).start()
        assert first.result().body == {"share": 111}
        assert second.result().body == {"share": 222}
    assert server.saved() == {"cpu_priority": 222}
    assert server.domain.writes == [("cpu_priority", 111), ("cpu_priority", 222)]


def test_a_refused_set_undoes_nothing_of_the_one_that_waited(server: Server) -> None:
    inside, may_go_on = threading.Event(), threading.Event()

    def refuse_first(name: str, value: int) -> None:
        if value == 111:
            inside.set()
            may_go_on.wait(2 * LONG_S)
            raise HostRefused(f"the host refused {value}")

    server.domain.before_write = refuse_first
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(ADMIN.act, server, "set-cpu-priority", {"share": 111})
        assert inside.wait(LONG_S)
        second = pool.submit(ADMIN.act, server, "set-cpu-priority", {"share": 222})
        threading.Timer(0.5, may_go_on.set).start()
        assert first.result().status == 409
        assert second.result().status == 200
    assert server.saved() == {"cpu_priority": 222}
    assert server.domain.shares == 222


def test_sets_of_different_resources_of_one_server(server: Server) -> None:
    """A save never takes along what another one saved meanwhile."""
    asks = [{name: value} for name, value in SETTINGS.items()]
    for _ in range(5):
        server.reset()
        with ThreadPoolExecutor(len(asks)) as pool:
            answers = list(pool.map(lambda ask: ADMIN.act(server, "set-qos", ask), asks))
        assert {answer.status for answer in answers} == {200}
        assert server.saved() == SETTINGS == server.held()


def test_a_hundred_sets_in_flight_on_one_host(boot: Callable[..., Server]) -> None:
    servers = [boot() for _ in range(5)]
    unrelated = [server.unrelated() for server in servers]
    asks = [(server, 100 + number) for number in range(20) for server in servers]
    random.Random(5).shuffle(asks)
    start = threading.Barrier(len(asks))

    def ask(order: tuple[Server, int]) -> Answer:
        server, number = order
        start.wait(2 * LONG_S)
        return ADMIN.act(server, "set-qos", {
            "cpu_priority": number, "io_priority": number, "memory_soft_limit": number,
            "memory": 300 + number, "net_priority": number % 99})

    with ThreadPoolExecutor(len(asks)) as pool:
        answers = list(pool.map(ask, asks))
    assert [answer.status for answer in answers] == [200] * 100
    for (_, number), answer in zip(asks, answers, strict=True):
        assert answer.body["cpu_priority"]["applied"] == number
    for server, before in zip(servers, unrelated, strict=True):
        saved = server.saved()
        assert {**UNSET, **saved} == server.held()
        assert saved["memory"] - 300 == saved["cpu_priority"] == saved["io_priority"]
        assert server.unrelated() == before
        assert len(server.domain.writes) == 20 * 5
