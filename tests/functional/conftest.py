# SPDX-License-Identifier: Apache-2.0
"""One nova for the whole tier: starting it takes longer than most tests."""

import os
from collections.abc import Callable, Iterator
from importlib import metadata
from typing import Any

# first of all: nova decides its threading on import, and its services run on native threads;
# before 34, nova's own fixtures know eventlet alone
if int(metadata.version("nova").partition(".")[0]) >= 34:
    os.environ["OS_NOVA_DISABLE_EVENTLET_PATCHING"] = "1"

import nova.tests.functional  # noqa: I001
import nova.test  # the one that patches in 32, which has to be before the HTTP server is imported
import nova.conf
import pytest

from nova_qos.bus.asking import Asker
from tests.functional.cloud import Cloud, Server


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
def option() -> Iterator[Callable[[str, object], None]]:
    """Sets options of [nova_qos] for one test."""
    names: list[str] = []

    def override(name: str, value: object) -> None:
        nova.conf.CONF.set_override(name, value, "nova_qos")
        names.append(name)

    yield override
    for name in names:
        nova.conf.CONF.clear_override(name, "nova_qos")
