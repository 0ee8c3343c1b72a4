# SPDX-License-Identifier: Apache-2.0
"""One nova for the whole tier: starting it takes longer than most tests."""

import contextlib
import os
import shutil
import sqlite3
import uuid
from collections.abc import Callable, Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

# first of all: nova decides its threading on import, and its services run on native threads;
# before 34, nova's own fixtures know eventlet alone
if int(metadata.version("nova").partition(".")[0]) >= 34:
    os.environ["OS_NOVA_DISABLE_EVENTLET_PATCHING"] = "1"

import nova.tests.functional  # noqa: I001
import nova.test  # the one that patches in 32, which has to be before the HTTP server is imported
import nova.conf
import pytest

from nova_qos.api import catalog
from nova_qos.bus.asking import Asker
from nova_qos.policies import schema
from nova_qos.policies.engine import Database
from tests.functional.cloud import AsAgentBegins, Cloud, Server


@pytest.fixture(scope="session")
def cloud() -> Iterator[Cloud]:
    cloud = Cloud()
    try:
        cloud.setUp()
        yield cloud
    finally:
        cloud.doCleanups()


@pytest.fixture(scope="session")
def long_lived(cloud: Cloud) -> Server:
    return cloud.boot()


@pytest.fixture
def server(long_lived: Server) -> Server:
    """A running server without settings, on a host with an agent; reset, not new."""
    long_lived.reset()
    return long_lived


@pytest.fixture
def boot(cloud: Cloud) -> Iterator[Callable[..., Server]]:
    """Makes servers of the test's own, for what cannot be reset."""
    made: list[Server] = []

    def boot(host: str = "compute") -> Server:
        made.append(cloud.boot(host))
        return made[-1]

    yield boot
    for server in made:
        cloud.delete(server)


@pytest.fixture
def fresh(boot: Callable[..., Server]) -> Server:
    return boot()


@pytest.fixture
def messages(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The methods that the API asks agents for, one for each message."""
    asked: list[str] = []
    begin: Callable[..., Any] = Asker.begin

    def counted(self: Asker, *args: Any, **kwargs: Any) -> Any:
        asked.append(args[2])
        return begin(self, *args, **kwargs)

    monkeypatch.setattr(Asker, "begin", counted)
    return asked


@pytest.fixture
def as_it_asks(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], object]], None]:
    """Has something happen between what the API found out and its question to an agent."""
    begin: Callable[..., Any] = Asker.begin

    def happens(what: Callable[[], object]) -> None:
        def asked(self: Asker, *args: Any, **kwargs: Any) -> Any:
            what()
            return begin(self, *args, **kwargs)

        monkeypatch.setattr(Asker, "begin", asked)

    return happens


@pytest.fixture
def as_agent_begins(
    as_it_asks: Callable[[Callable[[], object]], None]
) -> AsAgentBegins:
    """Has something happen, once, when the API has asked the agent and that looks for the server;
    of its own accord, an agent may do so at any time."""
    def happens(server: Server, what: Callable[[], object]) -> None:
        waiting = [what]

        def asked() -> None:
            if waiting:
                server.machine.before_domain = waiting.pop()

        as_it_asks(asked)

    return happens


@pytest.fixture
def option() -> Iterator[Callable[[str, object], None]]:
    """Sets options of [nova_qos] for one test."""
    names: list[str] = []

    def override(name: str, value: object) -> None:
        nova.conf.CONF.set_override(name, value, "nova_qos")
        names.append(name)

    yield override
    for name in names:
        nova.conf.CONF.clear_override(name, "nova_qos")


@pytest.fixture
def database(cloud: Cloud) -> Iterator[Callable[[str | None], None]]:
    """Sets ``[nova_qos_database] connection`` for one test, as if the API had started with it."""
    conf = nova.conf.CONF

    def configure(url: str | None) -> None:
        conf.set_override("connection", url, "nova_qos_database")
        catalog.store.cache_clear()

    yield configure
    conf.clear_override("connection", "nova_qos_database")
    catalog.store.cache_clear()


@pytest.fixture(scope="session")
def no_policies(cloud: Cloud, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of a database for policies that has none."""
    path = tmp_path_factory.mktemp("policies") / "empty.sqlite"
    conf = nova.conf.CONF
    conf.set_override("connection", f"sqlite:///{path}", "nova_qos_database")
    with Database(conf, patient=True).engine().connect() as connection:
        schema.upgrade(connection)
    conf.clear_override("connection", "nova_qos_database")
    return path


@pytest.fixture
def policies(
    no_policies: Path, database: Callable[[str | None], None], tmp_path: Path, cloud: Cloud
) -> Iterator[None]:
    """A database for policies, without any yet, and not the one of another test."""
    path = shutil.copy(no_policies, tmp_path / "policies.sqlite")
    with contextlib.closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE nova_qos_state SET database = ?", [str(uuid.uuid4())])
    database(f"sqlite:///{path}")
    yield
    database(None)
    for host in ("compute", "second"):
        cloud.agents[host].manager.policies.refresh(10)
