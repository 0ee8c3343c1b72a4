# SPDX-License-Identifier: Apache-2.0
"""The compute host and the guests, looked at with tools that are not ours."""

import subprocess
from pathlib import Path

from tools.bed.errors import TestbedError
from tools.bed.stack import services
from tools.bed.stack.layout import Layout
from tools.bed.stack.network import OUTSIDE
from tools.demo import uplink
from tools.demo.errors import DemoFailed
from tools.demo.servers import MEMORY_MIB, Server

_CGROUPS = Path("/sys/fs/cgroup")
_PAGES_PER_MIB = 256


def host_has_controllers() -> bool:
    """Whether control groups are of version 1, where all four resources can be set."""
    return not (_CGROUPS / "cgroup.controllers").exists()


class Observer:
    """virsh, the kernel's control groups, and what a guest says of itself."""

    def __init__(self, layout: Layout) -> None:
        self._libvirt = services.libvirt(layout)
        self._processes = layout.state / "libvirt" / "run" / "qemu"

    def virsh(self, command: str, field: str, server: Server) -> int:
        """A number that ``virsh COMMAND`` prints; ``unlimited`` is -1."""
        try:
            printed = self._libvirt.virsh(command, server.uuid)
        except TestbedError as error:
            raise DemoFailed(str(error)) from error
        for line in printed.splitlines():
            key, _, value = line.replace(":", " ").strip().partition(" ")
            if key == field:
                return -1 if value.strip() == "unlimited" else int(value)
        raise DemoFailed(f"virsh {command} {server.name} shows no {field}: {printed}")

    def mac_address(self, server: Server) -> str:
        """The address of the server's interface."""
        return self._libvirt.virsh("domiflist", server.uuid).split()[-1]

    def network_priority(self, server: Server) -> int:
        """What the class of the server's packets says."""
        words = self._libvirt.virsh("domiflist", server.uuid).split()
        priority = uplink.priority_of(mac=words[-1], tap=words[-5])
        if priority is None:
            raise DemoFailed(f"tc and nft do not agree on the class of {server.name}")
        return priority

    def cgroup(self, controller: str, file: str, server: Server) -> int:
        """The number in a file of the control group of a server's process."""
        return int((self.group(controller, server) / file).read_text().split()[-1])

    def group(self, controller: str, server: Server) -> Path:
        """The control group of a server's process."""
        for line in Path(f"/proc/{self.process(server)}/cgroup").read_text().splitlines():
            _, controllers, path = line.split(":", 2)
            if controller in controllers.split(","):
                # libvirt puts qemu's own thread into a group below the domain's
                return _CGROUPS / controller / path.removesuffix("/emulator").lstrip("/")
        raise DemoFailed(f"{server.name} is in no group of {controller}")

    def process(self, server: Server) -> int:
        """The pid of a server's qemu."""
        name = self._libvirt.virsh("domname", server.uuid).strip()
        return int((self._processes / f"{name}.pid").read_text())

    def guest_memory_mib(self, server: Server) -> float:
        """The guest's memory less the pages that its own kernel has given to the balloon.

        MemTotal would not do: nova lets balloons deflate, so the guest's kernel goes on counting
        pages that it could have back.
        """
        counters = self.inside(server, "grep balloon_ /proc/vmstat")
        pages = {line.split()[0]: int(line.split()[1]) for line in counters}
        held = pages["balloon_inflate"] - pages["balloon_deflate"]
        return MEMORY_MIB - held / _PAGES_PER_MIB

    def guest_available_mib(self, server: Server) -> int:
        """MemAvailable as the guest sees it."""
        (line,) = self.inside(server, "grep MemAvailable /proc/meminfo")
        return int(line.split()[1]) // 1024

    def inside(self, server: Server, script: str) -> list[str]:
        """Run a line of shell in a guest, over its network; return the lines it prints.

        :raises DemoFailed: its exit status is not 0
        """
        answer = subprocess.run(
            ["ip", "netns", "exec", OUTSIDE, "curl", "--silent", "--show-error", "--fail",
             "--max-time", "20", "--retry", "10", "--retry-delay", "1", "--retry-connrefused",
             "--data-binary", script, f"http://{server.address}/cgi-bin/run"],
            capture_output=True, text=True)
        *lines, status = answer.stdout.strip().splitlines() or [""]
        if answer.returncode or status != "exit status 0":
            raise DemoFailed(
                f"{script} in {server.name} at {server.address}: {answer.stdout}{answer.stderr}")
        return lines
