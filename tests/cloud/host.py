# SPDX-License-Identifier: Apache-2.0
"""The demo's compute host, looked at with tools that are not ours."""

import os
import signal
import subprocess
from pathlib import Path

from stack import services
from stack.layout import Layout
from stack.network import OUTSIDE

from testbed.processes import wait_until


class Observer:
    """virsh, the kernel's control groups, the guest itself, and the daemons' processes."""

    rpc_timeout = 15  # as the demo's nova.conf says

    def __init__(self, layout: Layout, addresses: dict[str, str]) -> None:
        self.libvirt = services.libvirt(layout)
        self._agent = services.agent(layout)
        self._state = layout.state
        self._addresses = addresses

    def virsh_value(self, command: str, server: str, name: str) -> int:
        """One number of what ``virsh COMMAND SERVER`` prints."""
        for line in self.libvirt.virsh(command, server).splitlines():
            key, _, value = line.replace(":", " ").strip().partition(" ")
            if key == name:
                return int(value)
        raise AssertionError(f"virsh {command} prints no {name}")

    def cgroup(self, server: str, controller: str, file: str) -> int:
        """The number in a file of the server's control group."""
        name = self.libvirt.virsh("domname", server).strip()
        pid = (self._state / "libvirt/run/qemu" / f"{name}.pid").read_text().strip()
        for line in Path(f"/proc/{pid}/cgroup").read_text().splitlines():
            _, controllers, path = line.split(":", 2)
            if controller in controllers.split(","):
                group = path.removesuffix("/emulator").lstrip("/")
                value = (Path("/sys/fs/cgroup") / controller / group / file).read_text()
                return int(value.split()[-1])
        raise AssertionError(f"{name} is in no group of {controller}")

    def guest_available_kib(self, server: str) -> int:
        """MemAvailable in the guest's own /proc/meminfo, read over its network."""
        answer = subprocess.run(
            ["ip", "netns", "exec", OUTSIDE, "curl", "--silent", "--fail", "--max-time", "20",
             "--data-binary", "grep MemAvailable /proc/meminfo",
             f"http://{self._addresses[server]}/cgi-bin/run"],
            capture_output=True, text=True, check=True)
        return int(answer.stdout.split()[1])

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

    def freeze_agent(self) -> None:
        """Let the agent take no step more: a call to it stays without an answer."""
        os.kill(self._agent_pid(), signal.SIGSTOP)

    def _agent_pid(self) -> int:
        pid = self._agent.pid()
        assert pid is not None, "the agent does not run"
        return pid
