# SPDX-License-Identifier: Apache-2.0
"""Guests whose QEMU does not answer cost others nothing."""

import contextlib
import logging
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from typing import TypeVar

import pytest
from oslo_config import cfg

from nova_qos import conf
from nova_qos.agent.contention import Contention
from nova_qos.agent.history import History
from nova_qos.agent.hooks import Hooks
from nova_qos.agent.look import Looker
from nova_qos.agent.roster import Roster
from nova_qos.core import errors
from nova_qos.core.reading import Reading
from nova_qos.core.server import Flavor
from nova_qos.virt.host import LibvirtHost
from tests.host.bench import RealBench, RealServer
from tests.host.ear import Ear
from tests.knobs import certain_balloon, read, write
from tools.bed.domain import Shape, TestGuest
from tools.bed.memory_records import HOST, MemoryRecord, MemoryRecords

_Answer = TypeVar("_Answer")
HANGS = r"the guest's QEMU does not answer, since \d+ s"
ALL = ("balloon", "cpu_group", "io_group", "memory_group")
#: A busy machine may answer late; what hangs takes 5 s and more.
SOON_S = 1.5
#: How many calls the agent lets wait for QEMUs, and how long a list may take.
MOST_CALLS, LIST_S = 8, 2.5


@pytest.fixture
def others(bench: RealBench) -> Iterator[list[TestGuest]]:
    """Guests that stand still, so that they need no processor; their QEMUs answer."""
    guests = [TestGuest(bench.libvirt, bench.images, name, Shape(memory_mib=128))
              for name in ("one", "two")]
    for guest in guests:
        guest.start("--paused")
    yield guests
    for guest in guests:
        guest.remove()


@pytest.fixture
def host(bench: RealBench) -> Iterator[LibvirtHost]:
    host = LibvirtHost(bench.libvirt.uri, bench.networks)
    yield host
    host.close()


@contextlib.contextmanager
def hanging(bench: RealBench, *guests: TestGuest) -> Iterator[None]:
    pids = [bench.libvirt.qemu_pid(guest.name) for guest in guests]
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)


def timed(work: Callable[[], _Answer]) -> tuple[_Answer, float]:
    began = time.monotonic()
    answer = work()
    return answer, time.monotonic() - began


def seen(host: LibvirtHost, *uuids: str) -> dict[str, Reading | errors.QosError]:
    """The memory of servers in one snapshot."""
    snapshot, found = host.snapshot(ALL), dict[str, Reading | errors.QosError]()
    for uuid in uuids:
        try:
            found[uuid] = snapshot.domain(uuid).knob("balloon").read()["memory"]
        except errors.QosError as error:
            found[uuid] = error
    return found


def told(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What the log says of guests; hosts of other tests may still tell of their libvirt."""
    return [message for message in caplog.messages if message.startswith("The QEMU of server")]


def test_a_snapshot_is_right_about_all_others(
    bench: RealBench, server: RealServer, others: list[TestGuest], host: LibvirtHost,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "nova_qos.virt")
    one, two = others
    uuids = server.uuid, one.uuid, two.uuid
    # later versions of libvirt do not tell what a domain that hangs is made of
    seen(host)
    with hanging(bench, one):
        first, first_s = timed(lambda: seen(host, *uuids))
        later, later_s = timed(lambda: seen(host, *uuids))
        # libvirt reads it from the kernel
        assert read(host.domain(one.uuid), "cpu_priority").applied == 1024
        (line,) = told(caplog)
        assert f"The QEMU of server {one.uuid} does not answer, since " in line
    for found in first, later:
        refused, well, standing = found[one.uuid], found[server.uuid], found[two.uuid]
        assert isinstance(refused, errors.HostRefused)
        assert refused.message.startswith("the guest's QEMU does not answer, since ")
        assert isinstance(well, Reading)
        assert isinstance(standing, Reading)
        assert (well.applied, standing.applied) == (server.memory_kib, 128 * 1024)
        assert well.effective
    assert first_s < 2
    assert later_s < SOON_S
    time.sleep(1)
    assert isinstance(seen(host, one.uuid)[one.uuid], Reading)
    assert f"The QEMU of server {one.uuid} answers again" in told(caplog)[-1]
    assert len(told(caplog)) == 2


def test_a_look_at_one_that_hangs(
    bench: RealBench, others: list[TestGuest], host: LibvirtHost
) -> None:
    """Everything but what its QEMU is needed for is read at once."""
    hung = others[0]
    with hanging(bench, hung):
        looked, look_s = timed(lambda: host.look(hung.uuid, ALL))
        for name, value in (("cpu_priority", 1024), ("io_priority", 100)):
            reading, read_s = timed(lambda: read(looked, name))  # noqa: B023
            assert reading.applied == value
            assert read_s < SOON_S
        assert look_s < SOON_S
        for limit_s in 7, SOON_S:
            began = time.monotonic()
            with pytest.raises(errors.HostRefused, match=HANGS):
                read(host.look(hung.uuid, ALL), "memory")
            assert time.monotonic() - began < limit_s
    time.sleep(1)
    assert read(host.look(hung.uuid, ALL), "memory").applied == 128 * 1024


def test_one_that_hangs_since_before_the_agent_began(
    bench: RealBench, server: RealServer, others: list[TestGuest], host: LibvirtHost
) -> None:
    one, two = others
    with hanging(bench, one):
        threading.Thread(target=lambda: bench.libvirt.virsh("dommemstat", one.name)).start()
        time.sleep(1)
        found, took_s = timed(lambda: seen(host, server.uuid, one.uuid, two.uuid))
        assert took_s < 4
        refused, well, standing = found[one.uuid], found[server.uuid], found[two.uuid]
        assert isinstance(refused, errors.HostRefused)
        assert refused.message.startswith("the guest's QEMU does not answer, since ")
        assert isinstance(well, Reading)
        assert isinstance(standing, Reading)
    time.sleep(1)
    assert isinstance(seen(host, one.uuid)[one.uuid], Reading)


def test_two_that_hang(
    bench: RealBench, server: RealServer, others: list[TestGuest], host: LibvirtHost
) -> None:
    with hanging(bench, *others):
        first, first_s = timed(lambda: seen(host, server.uuid, *(each.uuid for each in others)))
        assert first_s < 4
        later, later_s = timed(lambda: seen(host, server.uuid))
        assert later_s < SOON_S
    for each in others:
        assert isinstance(first[each.uuid], errors.HostRefused)
    for found in first, later:
        assert isinstance(found[server.uuid], Reading)


def test_as_many_that_hang_as_calls_may(
    bench: RealBench, server: RealServer, host: LibvirtHost
) -> None:
    """A list by an agent that has read no definition yet has all others in time."""
    crowd = [TestGuest(bench.libvirt, bench.images, f"crowd{each}", Shape(memory_mib=32))
             for each in range(MOST_CALLS)]
    with contextlib.ExitStack() as stack:
        for guest in crowd:
            stack.callback(guest.remove)
            guest.start("--paused")
        stack.enter_context(hanging(bench, *crowd))
        answers = list[Exception]()

        def ask(uuid: str) -> None:
            with pytest.raises(errors.HostRefused, match=HANGS) as refused:
                read(host.domain(uuid), "memory")
            answers.append(refused.value)

        threads = [threading.Thread(target=ask, args=[each.uuid]) for each in crowd]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        assert len(answers) == MOST_CALLS
        for _ in range(2):
            snapshot, took_s = timed(lambda: host.snapshot(["cpu_group"]))
            reading = snapshot.domain(server.uuid).knob("cpu_group").read()["cpu_priority"]
            assert reading.applied == 1024
            assert took_s < LIST_S
    time.sleep(1)
    assert read(host.domain(server.uuid), "memory").applied == server.memory_kib


def test_many_requests_for_one_that_hangs(
    bench: RealBench, server: RealServer, others: list[TestGuest], host: LibvirtHost
) -> None:
    """Those for other servers are answered meanwhile, and later ones for it at once."""
    hung, took_s = others[0], list[float]()

    def ask() -> None:
        began = time.monotonic()
        with pytest.raises(errors.HostRefused, match=HANGS):
            read(host.domain(hung.uuid), "memory")
        took_s.append(time.monotonic() - began)

    log = bench.libvirt.state / "libvirtd.log"
    before = log.stat().st_size
    with hanging(bench, hung):
        threads = [threading.Thread(target=ask) for _ in range(20)]
        for thread in threads:
            thread.start()
        for shares in 1500, 1600, 1700:
            _, write_s = timed(lambda: write(host.domain(server.uuid), "cpu_priority", shares))  # noqa: B023
            reading, read_s = timed(lambda: read(host.domain(server.uuid), "memory"))
            assert reading.applied == server.memory_kib
            assert max(write_s, read_s) < SOON_S
        for thread in threads:
            thread.join(30)
        assert len(took_s) == 20
        assert max(took_s) < 7
        for _ in range(10):
            _, again_s = timed(ask)
            assert again_s < SOON_S
        with pytest.raises(errors.HostRefused, match=HANGS):
            write(host.domain(hung.uuid), "cpu_priority", 1500)
    assert "max requests limit" not in log.read_text()[before:]
    time.sleep(1)
    assert read(host.domain(hung.uuid), "memory").applied == 128 * 1024


def test_it_is_looked_at_when_it_answers_again(
    event_loop: None, bench: RealBench, others: list[TestGuest]
) -> None:
    ear, hung = Ear(), others[0]
    host = LibvirtHost(bench.libvirt.uri, bench.networks)
    host.watch(ear)
    assert ear.hears((None, "unknown"), 5)
    with hanging(bench, hung), pytest.raises(errors.HostRefused, match=HANGS):
        write(host.domain(hung.uuid), "memory", 120 * 1024)
    assert ear.hears((hung.uuid, "changed"), 5)


def test_a_host_as_a_whole(
    bench: RealBench, server: RealServer, others: list[TestGuest], host: LibvirtHost
) -> None:
    """Of a guest that hangs, its figures alone are missing; it counts with its flavor."""
    flavors = {server.uuid: server.memory_kib // 1024, others[0].uuid: 128, others[1].uuid: 128}
    contention = Contention(host, looker(host, flavors))
    certain_balloon(host.domain(server.uuid))
    well, well_s = timed(contention.report)
    # those that stand still have reported nothing
    assert (well["running"], well["memory"]["needs_unmanaged"]) == (3, 256)
    assert 256 < well["memory"]["needs"] < 256 + flavors[server.uuid]
    with hanging(bench, others[0]):
        first, first_s = timed(contention.report)
        later, later_s = timed(contention.report)
    for found in first, later:
        assert (found["running"], found["memory"]["unread"]) == (3, 1)
        assert found["memory"]["applied"] == flavors[server.uuid] + 128
        assert found["memory"]["needs_unmanaged"] == 256
        assert abs(found["memory"]["needs"] - well["memory"]["needs"]) < 32
        assert found["cpu"]["unread"] == 0
    assert well_s < SOON_S
    assert first_s < 5
    assert later_s < SOON_S


def looker(host: LibvirtHost, flavors_mib: dict[str, int]) -> Looker:
    """An agent's, to which nova told that these servers are there."""
    options, records = cfg.ConfigOpts(), MemoryRecords()
    options([])
    conf.register(options)
    for server_uuid, memory_mib in flavors_mib.items():
        records.all[server_uuid] = MemoryRecord(server_uuid, Flavor(memory_mib))
    return Looker(
        Roster(HOST, records), host, options, Hooks({}, options), History(), 0.0)
