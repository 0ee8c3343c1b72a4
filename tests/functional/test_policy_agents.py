# SPDX-License-Identifier: Apache-2.0
"""What agents get of policies, how they hear of changes; and all requests without a database."""

import socket
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from nova import context

from nova_qos.api.catalog import catalog, store
from nova_qos.bus.client import AgentClient
from nova_qos.core.policy import Catalog
from nova_qos.core.server import POLICY
from nova_qos.resources import TABLE
from tests.functional import cloud as cloud_module
from tests.functional.caller import ADMIN, MEMBER, SERVICE, Answer, Caller
from tests.functional.cloud import Cloud, Server, eventually
from tests.functional.policies import GOLD, create, send
from tests.pace import Stopwatch

pytestmark = pytest.mark.usefixtures("policies")


def test_what_agents_get() -> None:
    gold, bronze = create(**GOLD), create("bronze", is_default=True)
    send("PUT", f"/{gold}/projects/abc")
    for caller in (SERVICE, ADMIN, SERVICE.using(roles=("admin", "service"))):
        answer = send("GET", "/for-agents", caller=caller)
        assert answer.status == 200, answer
        assert answer.headers["Content-Type"] == "application/json"
        found, known = Catalog.from_json(answer.body), catalog()
        assert (found.database, found.revision) == (known.database, known.revision)
        assert found.policies[int(gold)].settings == GOLD["settings"]
        assert (found.projects, found.default) == ({"abc": int(gold)}, int(bronze))
        assert answer.headers["ETag"] == f'"{known.database}-{known.revision}"'
    assert send("GET", "/for-agents", caller=MEMBER).status == 403
    assert send("GET", caller=SERVICE).status == 403


def test_what_an_agent_tells_of_its_copy(server: Server, cloud: Cloud) -> None:
    create(**GOLD)
    cloud.agents["compute"].manager.policies.refresh(10)
    cells, client = context.get_admin_context(), AgentClient()
    revision = store().version()[1]
    one = client.read(cells, "compute", server.uuid, [*TABLE, POLICY])
    assert (one[POLICY].applied, one[POLICY].reason) == (revision, None)
    assert one.keys() == {*TABLE, POLICY}
    assert 0 <= one[POLICY].details["age_s"] < 60
    nowhere = "00000000-0000-0000-0000-000000000000"
    many = client.read_many(cells, "compute", [server.uuid, nowhere], ["io_limit", POLICY])
    assert [many[each][POLICY].applied for each in (server.uuid, nowhere)] == [revision, revision]
    assert (many[server.uuid]["io_limit"].unmet, many[nowhere]["io_limit"].unmet) == (
        None, "pending")


def test_an_agent_tells_why_its_copy_is_old(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    create(**GOLD)
    policies = cloud.agents["compute"].manager.policies
    policies.refresh(10)
    revision = policies.reading().applied
    with monkeypatch.context() as away:
        away.setattr(cloud_module, "SERVICE", Caller("nobody", ("other",)))
        policies.refresh(10)
    now = policies.reading()
    assert (now.applied, "403" in str(now.reason)) == (revision, True)


@pytest.fixture
def heard(monkeypatch: pytest.MonkeyPatch, cloud: Cloud) -> list[tuple[str, int]]:
    """The host of each agent that was told, and of which revision."""
    found: list[tuple[str, int]] = []
    for host in ("compute", "second"):
        monkeypatch.setattr(cloud.agents[host].manager.policies, "hint",
                            lambda revision, host=host: found.append((host, revision)))
    return found


def test_all_agents_hear_of_each_change(heard: list[tuple[str, int]]) -> None:
    def told(answer: Answer) -> None:
        assert answer.status < 300, answer
        now = store().version()[1]
        eventually(lambda: {("compute", now), ("second", now)} <= set(heard))

    made = send("POST", body={"policy": GOLD})
    told(made)
    policy = made.body["policy"]["id"]
    told(send("PUT", f"/{policy}", {"policy": {"settings": {}}}))
    told(send("PUT", f"/{policy}/projects/abc"))
    told(send("DELETE", f"/{policy}/projects/abc"))
    told(send("DELETE", f"/{policy}"))


def test_nobody_hears_of_what_was_refused(heard: list[tuple[str, int]]) -> None:
    policy = create(is_default=True)
    eventually(lambda: len(heard) == 2)
    for answer in (send("POST", body={"policy": {**GOLD, "name": "gold"}}),
                   send("PUT", f"/{policy}", {"policy": {}}), send("DELETE", f"/{policy}"),
                   send("DELETE", f"/{policy}/projects/abc"), send("GET")):
        assert answer.status in (200, 400, 404, 409)
    time.sleep(0.3)
    assert len(heard) == 2


def every_request(policy: str) -> list[tuple[str, str, object]]:
    return [("GET", "", None), ("GET", f"/{policy}", None), ("GET", "/for-agents", None),
            ("POST", "", {"policy": GOLD}), ("PUT", f"/{policy}", {"policy": {"settings": {}}}),
            ("DELETE", f"/{policy}", None), ("PUT", f"/{policy}/projects/abc", None),
            ("DELETE", f"/{policy}/projects/abc", None)]


@pytest.mark.parametrize(("url", "words"), [
    (None, "[nova_qos_database] connection is not set"), ("", "connection is not set"),
    ("no URL", "is no URL"), ("nothing://there/", "not installed"),
    ("sqlite:///{path}", "nova-qos-manage db sync")])
def test_without_a_database(
    database: Callable[[str | None], None], tmp_path: Path, url: str | None, words: str
) -> None:
    database(url and url.format(path=tmp_path / "empty"))
    for method, path, body in every_request("7"):
        answer = send(method, path, body)
        assert (answer.status, words in answer.message) == (501, True), answer
        assert send(method, path, body, caller=Caller("nobody", ("other",))).status == 403


@pytest.mark.parametrize("listens", [False, True])
def test_while_the_database_is_away(
    database: Callable[[str | None], None], listens: bool
) -> None:
    pytest.importorskip("pymysql")
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        if listens:
            server.listen(1)
        database(f"mysql+pymysql://user:secret@127.0.0.1:{server.getsockname()[1]}/nova_qos")
        for method, path, body in every_request("7"):
            with Stopwatch() as watch:
                answer = send(method, path, body)
            assert answer.status == 503, answer
            assert watch.seconds < 3.5
            assert "secret" not in answer.message
