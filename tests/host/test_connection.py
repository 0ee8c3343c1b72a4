# SPDX-License-Identifier: Apache-2.0
"""Libvirtd stops, starts again and is killed while it is being used."""

import os
import signal
import threading
import time
import uuid
from collections import Counter

import pytest

from nova_qos.core import errors
from nova_qos.virt.host import LibvirtHost
from tests.host.bench import RealBench, RealServer
from tests.knobs import read, write
from tools.bed.processes import wait_until


def test_a_restart_between_two_calls_is_not_noticed(bench: RealBench, server: RealServer) -> None:
    domain = bench.host.domain(server.uuid)
    write(domain, "cpu_priority", 1111)
    bench.libvirt.restart()
    assert read(domain, "cpu_priority").applied == 1111
    bench.libvirt.restart()
    write(domain, "cpu_priority", 2222)
    assert server.guest.cgroup_value("cpu", "cpu.shares") == "2222"


def test_killed_libvirtd(bench: RealBench, server: RealServer) -> None:
    domain = bench.host.domain(server.uuid)
    pid = bench.libvirt.libvirtd_pid()
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    assert wait_until(lambda: bench.libvirt.libvirtd_pid() is None, 5)
    with pytest.raises(errors.HostAway, match=r"libvirt does not answer at qemu\+unix"):
        read(domain, "cpu_priority")
    bench.libvirt.start()
    assert read(domain, "cpu_priority").applied == 1024


def test_calls_of_many_threads_during_restarts(bench: RealBench, server: RealServer) -> None:
    """Each call ends with an answer or says that libvirt is away; afterwards all is well."""
    ends: Counter[str] = Counter()
    enough = threading.Event()

    def work() -> None:
        while not enough.is_set():
            try:
                read(bench.host.domain(server.uuid), "cpu_priority")
                ends["answered"] += 1
            except errors.QosError as error:
                ends[type(error).__name__] += 1
                time.sleep(0.01)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for _ in range(3):
        bench.libvirt.restart()
        before = ends["answered"]
        assert wait_until(lambda before=before: ends["answered"] > before + 40, 60)
    enough.set()
    for thread in threads:
        thread.join(timeout=30)
    assert not any(thread.is_alive() for thread in threads)
    assert set(ends) <= {"answered", "HostAway"}
    assert read(bench.host.domain(server.uuid), "cpu_priority").applied == 1024


def test_host_that_never_answered(bench: RealBench) -> None:
    host = LibvirtHost("qemu+unix:///system?socket=/nonexistent/libvirt-sock", bench.networks)
    with pytest.raises(errors.HostAway, match="/nonexistent/libvirt-sock"):
        host.domain(str(uuid.uuid4()))


def test_closed_connection_opens_again(bench: RealBench, server: RealServer) -> None:
    host = LibvirtHost(bench.libvirt.uri, bench.networks)
    domain = host.domain(server.uuid)
    host.close()
    assert read(domain, "cpu_priority").applied == 1024
    host.close()


def test_libvirt_prints_no_errors_of_its_own(
    bench: RealBench, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(errors.ServerNotRunning):
        bench.host.domain(str(uuid.uuid4()))
    assert capfd.readouterr().err == ""
