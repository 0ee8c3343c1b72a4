# SPDX-License-Identifier: Apache-2.0
"""A compute host looked at with tools that are not ours: virsh, the cgroup file, tc and nft."""

from pathlib import Path

from .errors import TestbedError
from .libvirtd import Libvirt
from .uplink import Uplink

_CGROUPS = Path("/sys/fs/cgroup")


def has_cgroup_v1() -> bool:
    """Whether this machine's control groups are of version 1."""
    return not (_CGROUPS / "cgroup.controllers").exists()


def group_in(listed: str, controller: str = "") -> Path:
    """The control group of a domain, from what ``/proc/PID/cgroup`` says of its qemu: the one of a
    controller with cgroup v1; without a controller, the one of cgroup v2.

    Raises TestbedError when it is in none.
    """
    for line in listed.splitlines():
        _, controllers, path = line.split(":", 2)
        if controller in controllers.split(","):
            # libvirt puts qemu's threads into groups below the domain's
            above, scope, _ = path.partition(".scope")
            return _CGROUPS / controller / (above + scope).removesuffix("/emulator").lstrip("/")
    raise TestbedError(f"no group of {controller or 'cgroup v2'} in {listed!r}")


def group_of(pid: int, controller: str = "") -> Path:
    """As ``group_in``, of a process. Raises OSError when it has ended."""
    return group_in(Path(f"/proc/{pid}/cgroup").read_text(), controller)


def number_in(file: Path) -> int:
    """The number in a file of a control group; the last one, where a name stands before it."""
    return int(file.read_text().split()[-1])


class Observer:
    """What a host holds for a server, which is named by its uuid.

    Every method raises TestbedError when a tool refuses, OSError when the server does not run.
    """

    def __init__(self, libvirt: Libvirt, uplink: Uplink) -> None:
        self.libvirt = libvirt
        self.uplink = uplink
        self._names: dict[str, str] = {}

    def virsh_value(self, command: str, server: str, name: str) -> int:
        """A number that ``virsh COMMAND SERVER`` prints beside a name; ``unlimited`` is -1."""
        printed = self.libvirt.virsh(command, server)
        for line in printed.splitlines():
            key, _, value = line.replace(":", " ").strip().partition(" ")
            if key == name:
                return -1 if value.strip() == "unlimited" else int(value)
        raise TestbedError(f"virsh {command} {server} shows no {name}: {printed}")

    def throttling(self, server: str) -> dict[str, str]:
        """What ``virsh blkdeviotune`` prints of the server's first disk, by name."""
        printed = self.libvirt.virsh("blkdeviotune", server, "vda")
        named = (line.partition(":") for line in printed.splitlines() if ":" in line)
        return {name.strip(): value.strip() for name, _, value in named}

    def domain_name(self, server: str) -> str:
        """What libvirt calls the server; nova keeps it for the server's life."""
        if server not in self._names:
            self._names[server] = self.libvirt.virsh("domname", server)
        return self._names[server]

    def process(self, server: str) -> int:
        """The pid of the server's qemu."""
        return self.libvirt.qemu_pid(self.domain_name(server))

    def group(self, server: str, controller: str = "") -> Path:
        """The server's control group, as ``group_in``."""
        return group_of(self.process(server), controller)

    def group_file(self, server: str, controller: str, file: str) -> Path:
        """A file of the server's control group."""
        return self.group(server, controller) / file

    def cgroup(self, server: str, controller: str, file: str) -> int:
        """The number in a file of the server's control group."""
        return number_in(self.group_file(server, controller, file))

    def interface(self, server: str) -> tuple[str, str]:
        """The server's tap device and its guest's address; the last of several."""
        words = self.libvirt.virsh("domiflist", server).split()
        return words[-5], words[-1]

    def network_priority(self, server: str) -> int | None:
        """As ``Uplink.priority_of``."""
        tap, mac = self.interface(server)
        return self.uplink.priority_of(mac, tap)
