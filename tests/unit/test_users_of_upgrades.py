# SPDX-License-Identifier: Apache-2.0
"""What tests of upgrades would see: requests that fail, changes that are lost, hosts that are
restarted under a request."""

import threading
from types import SimpleNamespace

import pytest

from tests.cloud.upgrade.answers import Answers, User
from tests.cloud.upgrade.load import Load
from tests.cloud.upgrade.pool import Pool
from tests.pace import LONG_S

SERVER = "0e5c1d7a-1111-4222-8333-944445555666"


class Api:
    """Stands for nova's API and whoever logs in to it."""

    def __init__(self) -> None:
        self.saved: dict[str, int] = {}
        self.hosts: list[str] = []
        self.loses = False
        self.status = 200

    def request(
        self, _path: str, _method: str, endpoint_override: str, json: dict[str, dict[str, int]],
        **_more: object,
    ) -> SimpleNamespace:
        self.hosts.append(endpoint_override)
        if (asked := json.get("set-qos")) and not self.loses:
            self.saved |= asked
        body = {name: {"requested": value} for name, value in self.saved.items()}
        return SimpleNamespace(
            status_code=self.status, json=lambda: body, content=b"body", text="body")


@pytest.fixture
def api() -> Api:
    return Api()


@pytest.fixture
def answers() -> Answers:
    return Answers()


@pytest.fixture
def user(api: Api, answers: Answers) -> User:
    made = User.__new__(User)
    made.session, made._pool, made._answers = api, Pool(["first", "second"]), answers
    return made


def test_what_is_set_is_looked_for(api: Api, user: User, answers: Answers) -> None:
    load = Load(answers)
    step = load.setter(user, SERVER, "cpu_priority")
    step()
    assert (answers.looked_for, answers.lost, load.last) == (
        1, [], {(SERVER, "cpu_priority"): 2055})
    api.loses = True
    step()
    assert "2062 was answered as set, and 2055 is there" in answers.lost[0]


def test_what_nobody_should_see_is_noted(api: Api, user: User, answers: Answers) -> None:
    api.status = 500
    Load(answers).setter(user, SERVER, "cpu_priority")()
    assert [each.split(" after ")[0] for each in answers.wrong] == [
        "the beginning: POST /servers/*/action set-qos: 500"]
    api.status = 503
    with answers.allowing(503):
        user.act(SERVER, "get-qos")
    user.act(SERVER, "get-qos")
    assert len(answers.wrong) == 2
    assert answers.counts == {500: 1, 503: 2}


def test_a_host_is_left_alone_while_it_is_out(api: Api, user: User) -> None:
    with user._pool.without("first"):
        for _ in range(4):
            user.act(SERVER, "get-qos")
    assert api.hosts == ["second"] * 4
    for _ in range(4):
        user.act(SERVER, "get-qos")
    assert api.hosts.count("first") == 2


def test_a_host_that_answers_is_waited_for() -> None:
    pool, order = Pool(["only", "other"]), list[str]()
    begun, ended = threading.Event(), threading.Event()

    def ask() -> None:
        with pool.taken() as host:
            order.append(host)
            begun.set()
            ended.wait(LONG_S)
            order.append("answered")

    asking = threading.Thread(target=ask)
    asking.start()
    assert begun.wait(LONG_S)
    threading.Timer(0.2, ended.set).start()
    with pool.without(order[0]):
        order.append("out")
    asking.join()
    assert order[1:] == ["answered", "out"]
