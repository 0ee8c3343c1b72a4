# SPDX-License-Identifier: Apache-2.0
"""A host that is short is relieved by nova's migrations of real servers: live, cold, and two at a
time."""

import os
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from tests.cloud.api import Person, wait_for
from tests.cloud.relieving import command, ended, left, needs, relieve
from tests.twonode.host import NodeHost
from tests.twonode.moves import (
    DRIVER_S,
    MOVE_S,
    Resident,
    host_of,
    host_of_v1,
    locked,
    reported,
)
from tools.bed.errors import TestbedError
from tools.bed.libvirtd import Libvirt
from tools.bed.stack import services
from tools.bed.stack.layout import Layout

pytestmark = pytest.mark.timeout(3600)


def _migrations(admin: Person, server: str) -> set[str]:
    """What became of its migrations, as nova has them on record."""
    found = admin.request("GET", f"/os-migrations?instance_uuid={server}").json()["migrations"]
    return {each["status"] for each in found}


def _runs(host: NodeHost, server: str) -> bool:
    """Whether libvirt there runs the server."""
    return server in host.node.machine.run("virsh", "list", "--uuid").split()


def test_a_host_is_relieved(
    admin: Person, short: NodeHost, residents: dict[str, Resident]
) -> None:
    server = residents[short.name].server
    # all memory but that of one guest is guaranteed, so the plan has one move
    done = relieve(admin, short.name, "--timeout", str(MOVE_S))
    assert done.status == 0, done
    (row,) = done.rows
    assert (row["From"], row["Result"]) == (short.name, "moved")
    assert host_of(admin, server) == row["To"] != short.name
    assert "completed" in _migrations(admin, server)
    wait_for(lambda: reported(admin, short.name)["state"] != "short", DRIVER_S, "it is relieved")


def test_a_host_is_relieved_cold(
    admin: Person, hosts: list[NodeHost], short: NodeHost, residents: dict[str, Resident]
) -> None:
    server, target = residents[short.name].server, hosts[1]
    began = time.monotonic()
    done = relieve(admin, short.name, "--cold", "--to", target.name)
    print(f"\n  moved cold in {time.monotonic() - began:.0f} s: {done.rows}")
    (row,) = done.rows
    assert (row["From"], row["To"], row["Result"]) == (short.name, target.name, "moved")
    assert (host_of(admin, server), admin.show(server)["status"]) == (target.name, "ACTIVE")
    # nobody but the command has confirmed it
    assert "confirmed" in _migrations(admin, server)
    assert _runs(target, server)
    assert not _runs(short, server)
    wait_for(lambda: reported(admin, short.name)["state"] != "short", DRIVER_S, "it is relieved")


@contextmanager
def _sending(number: int) -> Iterator[None]:
    """While inside, the host that the cloud runs on sends so many servers at a time."""
    layout = Layout.of_environment()
    conf, more = layout.etc("nova-compute") / "nova.conf", layout.run / "sending.conf"
    more.write_text(f"[DEFAULT]\nmax_concurrent_live_migrations = {number}\n")
    services.worker(layout, "nova-compute", "nova-compute", conf, more).stop()
    try:
        services.worker(layout, "nova-compute", "nova-compute", conf, more).start()
        yield
    finally:
        services.worker(layout, "nova-compute", "nova-compute", conf).stop()
        services.worker(layout, "nova-compute", "nova-compute", conf).start()
        more.unlink()


@pytest.mark.skipif(os.environ.get("NOVA_QOS_TEST_SIZE") == "reduced",
                    reason="two migrations take a minute: NOVA_QOS_TEST_SIZE is reduced")
def test_two_at_a_time(
    admin: Person, hosts: list[NodeHost], boot: Callable[..., str]
) -> None:
    here, target = host_of_v1(admin), hosts[0]
    two = [boot(name, here) for name in ("first", "second")]
    found = needs(admin, here, two)
    # more than the one, less than both
    missing = found[two[0]] + found[two[1]] // 2
    with locked(admin, found.keys() - set(two)), _sending(2), left(
            admin, here, sum(needs(admin, here, two).values()) - missing):
        began = time.monotonic()
        with subprocess.Popen(
                command(here, "--to", target.name, "--parallel", "2", "--timeout", str(MOVE_S)),
                env={**os.environ, **admin.environment}, text=True, stdout=subprocess.PIPE,
                stderr=subprocess.PIPE) as running:
            sent = _sent_at_once(running, two)
            printed, said = running.communicate()
        done = ended(running.returncode, printed, said)
        print(f"\n  moved in {time.monotonic() - began:.0f} s: {done.rows}")
        assert sent == 2, done
        assert {(each["Server"], each["To"], each["Result"]) for each in done.rows} == {
            ("first", target.name, "moved"), ("second", target.name, "moved")}
        assert done.status == 0
        for server in two:
            assert host_of(admin, server) == target.name
            assert _runs(target, server)


def _sent_at_once(running: "subprocess.Popen[str]", servers: list[str]) -> int:
    """How many of them libvirt has sent at the same moment."""
    libvirt, most = services.libvirt(Layout.of_environment()), 0
    while running.poll() is None:
        most = max(most, sum(_is_sent(libvirt, server) for server in servers))
        time.sleep(0.2)
    return most


def _is_sent(libvirt: Libvirt, server: str) -> bool:
    try:
        return "Outgoing migration" in libvirt.virsh("domjobinfo", server)
    except TestbedError:
        # it has gone
        return False
