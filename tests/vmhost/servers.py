# SPDX-License-Identifier: Apache-2.0
"""Real servers of the machine's own libvirt, under systemd and cgroup v2."""

import os
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from nova_qos.core import errors
from tests.host.bench import BRIDGE, OUTER, UPLINK, RealBench, RealServer
from tools.bed.domain import TestGuest
from tools.bed.guest import GuestImages
from tools.bed.libvirtd import Libvirt

IMAGES = Path(os.environ.get("NOVA_QOS_IMAGES", "/var/tmp/nova-qos-images"))
MACHINES = Path("/sys/fs/cgroup/machine.slice")
_SOCKETS = ("libvirtd.socket", "libvirtd-ro.socket", "libvirtd-admin.socket")
_GROUPS = Path("/sys/fs/cgroup")


def run(*command: str | Path) -> str:
    """What a program prints."""
    words = [str(word) for word in command]
    return subprocess.run(words, check=True, capture_output=True, text=True).stdout.strip()


class SystemLibvirt(Libvirt):
    """The machine's libvirt, started and stopped as its administrator would."""

    def __init__(self, state: Path) -> None:
        super().__init__(state, "qemu:///system", Path("/run/libvirt/qemu"))

    def start(self) -> None:
        """Have it answer again."""
        run("systemctl", "reset-failed", "libvirtd.service")
        run("systemctl", "start", *_SOCKETS)
        self.virsh("version")

    def stop_libvirtd(self) -> None:
        """Let nobody answer; running domains stay."""
        run("systemctl", "stop", *_SOCKETS, "libvirtd.service")


def scope_of(libvirt: Libvirt, guest: TestGuest) -> Path:
    """The group of a running guest, as the kernel says where its qemu is."""
    line = Path(f"/proc/{libvirt.qemu_pid(guest.name)}/cgroup").read_text().strip()
    path = Path(str(_GROUPS) + line.removeprefix("0::"))
    return next(each for each in path.parents if each.name.endswith(".scope"))


class ModernServer(RealServer):
    """A server whose group is a scope of systemd's."""

    @property
    def scope(self) -> Path:
        return scope_of(self._libvirt, self.guest)

    def forget_settings(self) -> None:
        name = self.guest.name
        self._libvirt.virsh_each(
            ["schedinfo", name, "--live", "cpu_shares=100"],
            ["memtune", name, "--live", "--soft-limit", "-1"])
        run("systemctl", "set-property", "--runtime", "--", self.scope.name, "IOWeight=100",
            "MemoryLow=0")


class ModernBench(RealBench):
    kind = ModernServer

    def __init__(self, state: Path) -> None:
        super().__init__(SystemLibvirt(state), GuestImages.build(IMAGES))

    def driverless(self) -> RealServer:
        """It stands still: nothing inside it is needed, and to boot takes it minutes here."""
        if self._driverless.state() == "shut off":
            self._driverless.guest.start("--paused")
        server = super().driverless()
        server.pause()
        return server

    def remove(self) -> None:
        """End all guests and forget them."""
        self.host.close()
        self.libvirt.destroy_domains()
        # without an uplink, since its tests are over, there is nothing to tidy
        with suppress(errors.HostRefused):
            self.host.tidy(correct=True, floating={})
        self.host.close()


def make_network() -> None:
    """An uplink, its other end, and a bridge for guests."""
    take_network()
    run("ip", "link", "add", UPLINK, "type", "veth", "peer", "name", OUTER)
    run("ip", "link", "add", BRIDGE, "type", "bridge")
    run("ip", "link", "set", UPLINK, "master", BRIDGE)
    for device in (UPLINK, OUTER, BRIDGE):
        run("ip", "link", "set", device, "up")


def take_network() -> None:
    """Take it away again."""
    for device in (UPLINK, BRIDGE):
        with suppress(subprocess.CalledProcessError):
            run("ip", "link", "delete", device)


def comes_true(what: Callable[[], bool], seconds: float) -> bool:
    """Wait until something is so, and return whether it is."""
    give_up = time.monotonic() + seconds
    while not what():
        if time.monotonic() > give_up:
            return False
        time.sleep(0.5)
    return True
