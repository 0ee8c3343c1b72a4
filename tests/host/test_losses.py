# SPDX-License-Identifier: Apache-2.0
"""A connection that is lost leaves nothing behind."""

import gc
import os
from collections.abc import Iterator

import libvirt
import pytest

from nova_qos.virt.connection import Connection
from nova_qos.virt.daemon import Daemon
from nova_qos.virt.host import LibvirtHost
from tests.host.bench import RealBench, RealServer
from tests.host.ear import Ear
from tests.host.proxy import Proxy
from tests.knobs import read
from tools.bed.processes import wait_until

LOSSES = 100
#: The most connections that a host may have beside that of its events.
POOLED = 16
#: The most descriptors of a connection: its own, what wakes it, and two of the proxy.
OF_ONE = 4


@pytest.fixture
def proxy(bench: RealBench) -> Iterator[Proxy]:
    path = bench.libvirt.state / "proxy"
    proxy = Proxy(path, bench.libvirt.socket)
    yield proxy
    proxy.close()
    path.unlink()


def files() -> int:
    """Those of the proxy are among them: two for each client."""
    return len(os.listdir("/proc/self/fd"))


def connections() -> int:
    gc.collect()
    return sum(isinstance(each, libvirt.virConnect) for each in gc.get_objects())


def test_losses_leave_nothing_behind(
    event_loop: None, bench: RealBench, server: RealServer, proxy: Proxy
) -> None:
    ear = Ear()
    host = LibvirtHost(proxy.uri, bench.networks)
    host.watch(ear)
    assert ear.hears((None, "unknown"), 5)

    def lose() -> None:
        proxy.cut()
        reading = read(host.domain(server.uuid), "memory")
        assert reading.applied == server.memory_kib

    lose()
    # the events' connection comes back by itself
    assert ear.hears((None, "unknown"), 5)
    before = files(), connections()
    for _ in range(LOSSES):
        lose()
    # on a busy machine more threads of the pools come to have a connection
    most = before[0] + 3 * POOLED, before[1] + POOLED
    assert wait_until(lambda: files() <= most[0] and connections() <= most[1], 10), (
        before, files(), connections())
    # until the last loss was noticed
    while ear.hears((None, "unknown"), 3):
        pass
    server.pause()
    server.resume()
    assert ear.hears((server.uuid, "changed"), 5)


def test_nor_do_the_handlers_of_events(event_loop: None, proxy: Proxy) -> None:
    handlers = dict.fromkeys(
        (libvirt.VIR_DOMAIN_EVENT_ID_LIFECYCLE, libvirt.VIR_DOMAIN_EVENT_ID_REBOOT), print)
    opened: list[None] = []
    connection = Connection(Daemon(proxy.uri), handlers, lambda: opened.append(None))

    def lose() -> None:
        connection.call(lambda connected: connected.getLibVersion())
        proxy.cut()

    lose()
    before = files(), connections()
    for _ in range(LOSSES):
        lose()
    assert len(opened) == LOSSES + 1
    # that of the first loss may have been closed by then, so one more may be there now
    most = before[0] + OF_ONE, before[1] + 1
    assert wait_until(lambda: files() <= most[0] and connections() <= most[1], 10), (
        before, files(), connections())
    connection.close()
