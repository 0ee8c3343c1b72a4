# SPDX-License-Identifier: Apache-2.0
"""The demo's compute host, looked at with tools that are not ours."""

import os
import signal
import subprocess
from pathlib import Path

from tools.bed.processes import Daemon, wait_until
from tools.bed.stack import services
from tools.bed.stack.layout import Layout
from tools.bed.stack.network import OUTSIDE


class Observer:
    """virsh, the kernel's control groups, the guest itself, and the daemons' processes."""

    rpc_timeout = 15  # as the demo's nova.conf says

    def __init__(self, layout: Layout, addresses: dict[str, str]) -> None:
        self.libvirt = services.libvirt(layout)
        self._layout = layout
        self._agent = services.agent(layout)
        self._state = layout.state
        self._addresses = addresses
        self._names: dict[str, str] = {}

    def virsh_value(self, command: str, server: str, name: str) -> int:
        """One number of what ``virsh COMMAND SERVER`` prints; ``unlimited`` is -1."""
        for line in self.libvirt.virsh(command, server).splitlines():
            key, _, value = line.replace(":", " ").strip().partition(" ")
            if key == name:
                return -1 if value.strip() == "unlimited" else int(value)
        raise AssertionError(f"virsh {command} prints no {name}")

    def cgroup(self, server: str, controller: str, file: str) -> int:
        """The number in a file of the server's control group."""
        return int(self.group_file(server, controller, file).read_text().split()[-1])

    def group_file(self, server: str, controller: str, file: str) -> Path:
        """A file of the control group that the server's process is in."""
        for line in Path(f"/proc/{self.process(server)}/cgroup").read_text().splitlines():
            _, controllers, path = line.split(":", 2)
            if controller in controllers.split(","):
                group = path.removesuffix("/emulator").lstrip("/")
                return Path("/sys/fs/cgroup") / controller / group / file
        raise AssertionError(f"{server} is in no group of {controller}")

    def process(self, server: str) -> int:
        """The server's process.

        :raises OSError: it does not run
        """
        name = self.domain_name(server)
        return int((self._state / "libvirt/run/qemu" / f"{name}.pid").read_text())

    def domain_name(self, server: str) -> str:
        """What libvirt calls the server; nova keeps it for the server's life."""
        if server not in self._names:
            self._names[server] = self.libvirt.virsh("domname", server).strip()
        return self._names[server]

    def guest_available_kib(self, server: str) -> int:
        """MemAvailable in the guest's own /proc/meminfo, read over its network."""
        return int(self.inside(server, "grep MemAvailable /proc/meminfo").split()[1])

    def inside(self, server: str, script: str) -> str:
        """What a line of shell prints in the guest, run over its network."""
        return subprocess.run(
            ["ip", "netns", "exec", OUTSIDE, "curl", "--silent", "--fail", "--max-time", "20",
             "--data-binary", script, f"http://{self._addresses[server]}/cgi-bin/run"],
            capture_output=True, text=True, check=True).stdout

    def interface(self, server: str) -> tuple[str, str]:
        """The server's tap device and its guest's address."""
        words = self.libvirt.virsh("domiflist", server).split()
        return words[-5], words[-1]

    def kill_agent(self) -> None:
        """End the agent as a crash would."""
        os.kill(self._agent_pid(), signal.SIGKILL)
        assert wait_until(lambda: self._agent.pid() is None, 10), "the agent lives on"

    def start_agent(self) -> None:
        """Start the agent if it does not run."""
        self._agent.start()

    def restart_agent(self, *more: Path) -> None:
        """Stop the agent and start it, with more configuration files than its own."""
        self._agent.stop()
        services.agent(self._layout, *more).start()

    def start_libvirtd(self) -> None:
        """Start libvirtd, and nova-compute again.

        nova-compute 34 may wait for ever for a lock of its own once libvirtd has gone away.
        """
        self.libvirt.start()
        compute = self.daemon("nova-compute")
        compute.stop()
        compute.start()

    def daemon(self, name: str) -> Daemon:
        """A process of the cloud, by its name."""
        return next(each for each in services.everything(self._layout) if each.name == name)

    def freeze_agent(self) -> None:
        """Let the agent take no step more: a call to it stays without an answer."""
        os.kill(self._agent_pid(), signal.SIGSTOP)

    def _agent_pid(self) -> int:
        pid = self._agent.pid()
        assert pid is not None, "the agent does not run"
        return pid
