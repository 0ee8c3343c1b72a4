# SPDX-License-Identifier: Apache-2.0
"""An agent that asks nova's API over HTTP, as in a cloud: while the API is away, and where it
refuses. What the agent says then in its log, to administrators and of each server."""

import json
import logging
import threading
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

import nova.conf
import pytest
from keystoneauth1 import loading

from nova_qos.agent.hooks import Hooks
from nova_qos.agent.service import AgentManager
from nova_qos.bus import wire
from nova_qos.cmd import check
from tests.functional.caller import ADMIN, SERVICE, Caller
from tests.functional.cloud import CONF, HOOKS, MACHINES, Cloud, FakeAgent, Server, eventually
from tests.functional.policies import assign, create, edit, held

pytestmark = pytest.mark.usefixtures("policies")
HOST, SECTION = "second", "of_the_agent"
GOLD = {"io_priority": 700, "net_priority": 5, "memory": "75%"}
NOBODY = Caller("nova", ("other",), project=SERVICE.project)
HOUR_S = 3600


class Agent(FakeAgent):
    """With the program's own way to the API; nova's service makes it by name."""

    def __init__(self, host: str) -> None:
        AgentManager.__init__(self, host, MACHINES[host], CONF, Hooks(HOOKS, CONF))


class _Quiet(WSGIRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """Nothing: what matters is in the answers."""


class Door:
    """nova's API on loopback, always at the same address; who comes in is ``caller``."""

    def __init__(self, application: Callable[..., Iterable[bytes]]) -> None:
        self._application, self.caller = application, SERVICE
        self._server: WSGIServer | None = None
        self._port = 0
        self.open()

    @property
    def url(self) -> str:
        """Where it is, whether it is open or not."""
        return f"http://127.0.0.1:{self._port}/v2.1"

    def open(self) -> None:
        """Let everybody in."""
        self._server = make_server("127.0.0.1", self._port, self._answer, handler_class=_Quiet)
        self._port = self._server.server_port
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def shut(self) -> None:
        """Nobody listens any more."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def _answer(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        who = self.caller
        return self._application({
            **environ, "HTTP_X_AUTH_USER": who.user, "HTTP_X_USER_ID": who.user,
            "HTTP_X_AUTH_PROJECT_ID": who.project, "HTTP_X_ROLES": ",".join(who.roles)},
            start_response)


@pytest.fixture
def door(cloud: Cloud, option: Callable[[str, object], None]) -> Iterator[Door]:
    door = Door(cloud.api_fixture.app())
    loading.register_auth_conf_options(nova.conf.CONF, SECTION)
    nova.conf.CONF.set_override("auth_type", "none", SECTION)
    option("auth_section", SECTION)
    option("endpoint_override", door.url)
    yield door
    nova.conf.CONF.clear_override("auth_type", SECTION)
    door.shut()


class Site:
    """The host's agent, to be started and stopped, and the directory that outlives it."""

    def __init__(self, cloud: Cloud, directory: Path) -> None:
        self._cloud, self.file = cloud, directory / "policies.json"
        self._service: Any = None

    def start(self) -> None:
        """As nova runs its services."""
        self._service = self._cloud.start_service(
            "qos-agent", host=HOST, topic=wire.TOPIC, manager=f"{__name__}.{Agent.__name__}")

    @property
    def agent(self) -> Agent:
        """The one that runs."""
        found: Agent = self._service.manager
        return found

    def stop(self) -> None:
        """It is gone."""
        self._service.stop()

    def grow_older(self, by_s: float) -> None:
        """As if the copy had been fetched earlier."""
        kept = json.loads(self.file.read_text())
        self.file.write_text(json.dumps({**kept, "fetched_at": kept["fetched_at"] - by_s}))


@pytest.fixture
def site(
    cloud: Cloud, door: Door, option: Callable[[str, object], None], tmp_path: Path
) -> Iterator[Site]:
    before = nova.conf.CONF.nova_qos.state_directory
    cloud.agents[HOST].stop()
    option("state_directory", str(tmp_path / "state"))
    site = Site(cloud, tmp_path / "state")
    yield site
    site.stop()
    option("state_directory", before)
    cloud.start_agent(HOST)


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> Callable[[], list[str]]:
    """What agents have logged of fetching."""
    caplog.set_level(logging.INFO, "nova_qos.agent.copy")
    return lambda: [each.getMessage() for each in caplog.records
                    if each.name == "nova_qos.agent.copy"]


def host_shown() -> dict[str, Any]:
    """What administrators are told of the host's copy."""
    (host,) = ADMIN.request("GET", f"/os-qos/hosts?host={HOST}").body["hosts"]
    found: dict[str, Any] = host["policies"]
    return found


def by_policy(server: Server) -> tuple[int, int, int]:
    now = server.domain.held()
    return now["io_priority"], now["net_priority"], now["memory"]


def test_a_host_that_reboots_while_the_api_is_away(
    site: Site, door: Door, boot: Callable[..., Server], log: Callable[[], list[str]]
) -> None:
    gold = create("gold", settings=GOLD)
    site.start()
    ours, projects = boot(HOST), boot(HOST)
    assert assign(ours, "gold", cpu_priority=77).status == 200
    edit(gold, is_default=True)
    eventually(lambda: by_policy(projects) == (700, 5, 384))
    site.stop()
    site.grow_older(2 * HOUR_S)
    door.shut()
    # what a reboot leaves of guests and of what their host held
    ours.machine.domains.clear()

    site.start()
    assert log()[-1].startswith("Could not fetch the policies, the copy of ")
    assert " UTC stays in force: " in log()[-1]
    assert door.url in log()[-1]
    # nova starts the guests again
    for server in ours, projects:
        server.restart()
    for server in ours, projects:
        eventually(lambda server=server: by_policy(server) == (700, 5, 384))  # type: ignore[misc]
    assert ours.domain.held()["cpu_priority"] == 77
    assert {row["state"] for row in held(projects).values() if row["source"] != "none"} == {
        "applied"}
    told = host_shown()
    assert 2 * HOUR_S <= told["age_s"] < 3 * HOUR_S
    assert (told["revision"], door.url in told["reason"]) == (
        site.agent.policies.reading().applied, True)

    # an edit meanwhile is pending, and why; hints do not help either
    edit(gold, settings={**GOLD, "io_priority": 900})
    row = held(projects)["io_priority"]
    assert (row["requested"], row["applied"], row["state"]) == (900, 700, "pending")
    assert "the host has yet to get revision 3 of policy gold" in row["reason"]
    assert row["reason"].endswith("its copy is 2 h old")

    door.open()
    site.agent.policies.refresh(10)
    for server in ours, projects:
        eventually(lambda server=server: by_policy(server) == (900, 5, 384))  # type: ignore[misc]
    assert "The policies can be fetched again" in log()
    assert (host_shown()["reason"], host_shown()["age_s"] < HOUR_S) == (None, True)


def test_an_agent_without_a_copy_that_is_refused(
    site: Site, door: Door, boot: Callable[..., Server], log: Callable[[], list[str]]
) -> None:
    """Its user lacks the role: own settings are applied, and nothing is reset."""
    create("gold", settings=GOLD)
    site.start()
    server = boot(HOST)
    assert assign(server, "gold", io_limit=500).status == 200
    site.stop()
    site.file.unlink()
    door.caller = NOBODY
    server.domain.io_limit = -1

    site.start()
    says = ("answered 403: the user of these credentials has neither the role service nor admin; "
            "see the access rule os_compute_api:os-qos:policies:agents")
    assert log()[-1].startswith(
        "Could not fetch the policies, none are known, and servers keep what this host holds")
    assert log()[-1].endswith(says)
    assert host_shown() == {"revision": None, "age_s": None, "reason": host_shown()["reason"]}
    assert host_shown()["reason"].endswith(says)
    assert check.policies(nova.conf.CONF) == [f"warning: policies: {host_shown()['reason']}\n"]
    server.machine.happened(server.uuid, "changed")
    eventually(lambda: server.domain.held()["io_limit"] == 500)
    assert by_policy(server) == (700, 5, 384)

    # after a start of the guest, nothing of the policy is there; that is told
    server.restart()
    eventually(lambda: server.domain.held()["io_limit"] == 500)
    assert by_policy(server) == (100, -1, 512)
    row = held(server)["io_priority"]
    assert (row["requested"], row["state"]) == (700, "pending")
    assert row["reason"].startswith("the host has yet to get revision 1 of policy gold; its agent "
                                    "could not fetch policies lately (")
    assert row["reason"].endswith(f"{says}), it has no copy")

    door.caller = SERVICE
    site.agent.policies.refresh(10)
    eventually(lambda: by_policy(server) == (700, 5, 384))
    assert check.policies(nova.conf.CONF) == []
    assert host_shown()["reason"] is None


def test_where_nobody_has_named_policies_nothing_is_warned_of(
    site: Site, door: Door, database: Callable[[str | None], None]
) -> None:
    database(None)
    site.start()
    assert check.policies(nova.conf.CONF) == []
    told = host_shown()
    assert (told["revision"], "connection is not set" in told["reason"]) == (None, True)
    door.shut()
    (line,) = check.policies(nova.conf.CONF)
    assert line.startswith(f"warning: policies: with the credentials of [{SECTION}] of nova.conf: ")
