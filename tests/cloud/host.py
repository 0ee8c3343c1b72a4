# SPDX-License-Identifier: Apache-2.0
"""The demo's compute host, looked at with tools that are not ours."""

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tools.bed import observer
from tools.bed.processes import Daemon, wait_until
from tools.bed.stack import host, servers, services
from tools.bed.stack.layout import Layout


class Observer(observer.Observer):
    """The compute host's observer, which hears its guests as well, and ends and starts daemons."""

    rpc_timeout = 15  # as the demo's nova.conf says

    def __init__(self, layout: Layout, addresses: dict[str, str]) -> None:
        super().__init__(services.libvirt(layout), host.uplink)
        self._layout = layout
        self._agent = services.agent(layout)
        self._addresses = addresses

    def guest_available_kib(self, server: str) -> int:
        """MemAvailable in the guest's own /proc/meminfo, read over its network."""
        return int(self.inside(server, "grep MemAvailable /proc/meminfo").split()[1])

    def inside(self, server: str, script: str) -> str:
        """What a line of shell prints in the guest, run over its network.

        :raises TestbedError: the guest does not answer, or the line fails
        """
        return "\n".join(servers.inside(self._addresses[server], script, retries=0))

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

    @contextmanager
    def hung(self, server: str) -> Iterator[None]:
        """Let the server's QEMU take no step for a while."""
        pid = self.libvirt.qemu_pid(self.libvirt.virsh("domname", server).strip())
        os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(pid, signal.SIGCONT)

    def second_agent(self) -> str:
        """Start another agent beside the one that runs; what it says, which ends by itself.

        :raises subprocess.TimeoutExpired: it does not
        """
        done = subprocess.run(
            self._agent.command, env={**os.environ, **(self._agent.environment or {})},
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=30)
        return f"exit status {done.returncode}: {done.stdout}"

    def daemon(self, name: str) -> Daemon:
        """A process of the cloud, by its name."""
        return next(each for each in services.everything(self._layout) if each.name == name)

    def freeze_agent(self) -> None:
        """Let the agent take no step more: a call to it stays without an answer."""
        os.kill(self._agent_pid(), signal.SIGSTOP)

    @contextmanager
    def frozen_agent(self) -> Iterator[None]:
        """Freeze the agent for a while: what is changed by hand stays until it goes on."""
        self.freeze_agent()
        try:
            yield
        finally:
            os.kill(self._agent_pid(), signal.SIGCONT)

    def _agent_pid(self) -> int:
        pid = self._agent.pid()
        assert pid is not None, "the agent does not run"
        return pid
