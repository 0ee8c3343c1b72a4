# SPDX-License-Identifier: Apache-2.0
"""Real servers on a private libvirt, put into any state by virsh and by their own shell."""

import contextlib
import os
import subprocess
import time
from collections.abc import Iterator
from functools import cached_property

from nova_qos.core.units import UNLIMITED
from nova_qos.host import Networks
from nova_qos.net.inbound import Inbound
from nova_qos.net.outbound import Outbound
from nova_qos.virt.host import LibvirtHost
from tests.knobs import write
from tools.bed.domain import Shape, TestGuest
from tools.bed.guest import GuestImages
from tools.bed.libvirtd import PrivateLibvirt
from tools.bed.processes import wait_until

MIB = 1024
#: In the tests' own network namespace.
BRIDGE, UPLINK, OUTER = "bridge", "uplink", "outer"
_SETTLE_S = 20
#: Between two reports of a guest's balloon driver.
_PERIOD_S = 2
_BOOTED, _BOOT_S = "guest ready", 300
#: Libvirts beside each other name groups by their guests alone.
_WORKER = os.environ.get("PYTEST_XDIST_WORKER", "")


def forget_network() -> None:
    """Take away whatever shares out the uplink."""
    for command in (("tc", "qdisc", "delete", "dev", UPLINK, "root"),
                    ("nft", "delete", "table", "netdev", "nova_qos"),
                    ("nft", "delete", "table", "netdev", "nova_qos_in"),
                    ("ip", "link", "delete", "nova-qos-in")):
        subprocess.run(command, stderr=subprocess.DEVNULL, check=False)


class RealServer:
    """A real guest; what is done to it goes past our own code."""

    def __init__(self, libvirt: PrivateLibvirt, guest: TestGuest) -> None:
        self.guest = guest
        self.uuid = guest.uuid
        self.memory_kib = guest.memory_mib * MIB
        self._libvirt = libvirt
        self._occupied = False

    def pause(self) -> None:
        self._libvirt.virsh("suspend", self.guest.name)

    def resume(self) -> None:
        self._libvirt.virsh("resume", self.guest.name)

    def stop(self) -> None:
        self._libvirt.virsh("destroy", self.guest.name)

    @contextlib.contextmanager
    def resetting(self) -> Iterator[None]:
        boots = self.guest.console().count(_BOOTED)
        # a guest that stands still is not up before what is done inside
        self.pause()
        self._libvirt.virsh("reset", self.guest.name)
        yield
        self.resume()
        booted = wait_until(lambda: self.guest.console().count(_BOOTED) > boots, _BOOT_S)
        assert booted, f"{self.guest.name} did not boot again"
        self._occupied = False

    def occupy(self, memory_mib: int) -> None:
        self.guest.run(f"occupy-memory {memory_mib}")
        self._occupied = memory_mib > 0

    def read_disk(self, mib: int) -> None:
        self.guest.run(f"dd if=/dev/vda of=/dev/null bs=1M count={mib} iflag=direct")

    def statistics(self) -> dict[str, int]:
        """What virsh says about the balloon, in KiB."""
        words = self._libvirt.virsh("dommemstat", self.guest.name).split()
        return dict(zip(words[::2], map(int, words[1::2]), strict=True))

    def state(self) -> str:
        return self._libvirt.virsh("domstate", self.guest.name)

    def renew(self) -> bool:
        """Make it run as nova would have started it; return whether its memory was touched."""
        touched = self._run_again() or self._occupied
        if self._occupied:
            self.occupy(0)
        touched = touched or self.statistics()["actual"] != self.memory_kib
        self._fill()
        forget_network()
        return touched

    def forget_settings(self) -> None:
        """Give it the shares and limits that it started with."""
        name = self.guest.name
        self._libvirt.virsh_each(
            ["schedinfo", name, "--live", "cpu_shares=1024"],
            ["schedinfo", name, "--live", "global_quota=-1"],
            ["memtune", name, "--live", "--soft-limit", "-1"],
            ["blkiotune", name, "--live", "--weight", "100"],
            ["blkdeviotune", name, "vda", "--live", "--total-iops-sec", "0",
             "--total-bytes-sec", "0"])

    def _run_again(self) -> bool:
        state = self.state()
        if state == "paused":
            self.resume()
        elif state != "running":
            self.guest.start()
            self._occupied = False
        return state != "running"

    def _fill(self) -> None:
        self._libvirt.virsh_each(
            ["setmem", self.guest.name, str(self.memory_kib), "--live"],
            ["dommemstat", self.guest.name, "--period", str(_PERIOD_S), "--live"])
        arrived = wait_until(lambda: self.statistics()["actual"] == self.memory_kib, _SETTLE_S)
        assert arrived, f"{self.guest.name} did not get its memory back: {self.statistics()}"

    def await_silence(self) -> None:
        """Wait until the guest's balloon driver has missed several reports."""
        assert wait_until(lambda: time.time() - self.statistics()["last_update"] > 8, _SETTLE_S)

    def await_report(self) -> None:
        """Wait until the guest's balloon driver has reported on the present."""
        now = time.time()
        assert wait_until(lambda: self.statistics()["last_update"] > now, _SETTLE_S)


class RealBench:
    """The servers are started when first asked for and used again."""

    kind = RealServer

    def __init__(self, libvirt: PrivateLibvirt, images: GuestImages) -> None:
        self.libvirt = libvirt
        self.images = images
        self.networks: Networks = {
            "net_class": Outbound((UPLINK,), rate_mbit=80, default_weight=50),
            "net_in_class": Inbound(80, default_weight=50)}
        self.host = LibvirtHost(libvirt.uri, self.networks)

    def server(self) -> RealServer:
        if self._renewed(self._healthy):
            self._healthy.await_report()
        return self._healthy

    def driverless(self) -> RealServer:
        self._renewed(self._driverless)
        return self._driverless

    def pinned(self) -> RealServer:
        self._renewed(self._pinned)
        return self._pinned

    def _renewed(self, server: RealServer) -> bool:
        touched = server.renew()
        # what the host has promised is known to itself alone
        for name in ("cpu_guarantee", "memory_guarantee"):
            write(self.host.domain(server.uuid), name, UNLIMITED)
        server.forget_settings()
        return touched

    @contextlib.contextmanager
    def away(self) -> Iterator[None]:
        self.libvirt.stop_libvirtd()
        try:
            yield
        finally:
            self.libvirt.start()

    def pass_time(self, seconds: float) -> None:
        time.sleep(seconds)

    @cached_property
    def _healthy(self) -> RealServer:
        return self._made("healthy", Shape(bridge=BRIDGE))

    @cached_property
    def _driverless(self) -> RealServer:
        return self._made("driverless", Shape(options="noballoon", bridge=BRIDGE))

    @cached_property
    def _pinned(self) -> RealServer:
        backing = "<memoryBacking><hugepages/></memoryBacking>"
        return self._made("pinned", Shape(memory_backing=backing))

    def _made(self, name: str, shape: Shape) -> RealServer:
        guest = TestGuest(self.libvirt, self.images, f"{name}{_WORKER}", shape)
        return self.kind(self.libvirt, guest)
