# SPDX-License-Identifier: Apache-2.0
"""A libvirt of our own beside the machine's: private directories in a mount namespace."""

import shlex
import subprocess
import uuid
from collections.abc import Sequence
from pathlib import Path

from .errors import TestbedError
from .processes import Daemon, wait_until

_MOUNTED = ("etc", "run", "lib", "cache", "log")
_MOUNT_POINTS = (
    "/etc/libvirt",
    "/run/libvirt",
    "/var/lib/libvirt",
    "/var/cache/libvirt",
    "/var/log/libvirt",
)
_SCRIPT = Path(__file__).with_name("private_mounts.sh")
_CGROUPS = Path("/sys/fs/cgroup")
_SOCKET_PATH_MAX = 107
_GROUP_NAME_MAX = 20
_GROUP_TIMEOUT_S = 2

_DAEMON_CONF = """\
host_uuid = "{host_uuid}"
auth_unix_rw = "{auth}"
auth_unix_ro = "none"
unix_sock_rw_perms = "0700"
log_outputs = "2:stderr"
"""
_QEMU_CONF = """\
namespaces = []
security_driver = "none"
user = "root"
group = "root"
remember_owner = 0
max_core = 0
hugetlbfs_mount = "{state}/huge"
"""


class Libvirt:
    """A libvirt that runs; ``state`` is where the files of its guests go."""

    def __init__(self, state: Path, uri: str, pid_files: Path) -> None:
        self.state = state.absolute()
        self.uri = uri
        self._pid_files = pid_files

    def virsh(self, *arguments: str) -> str:
        """Run virsh on this libvirt and return what it prints. Raises TestbedError."""
        answer = self._virsh(*arguments)
        if answer.returncode:
            raise TestbedError(f"virsh {' '.join(arguments)}: {answer.stderr.strip()}")
        return answer.stdout.strip()

    def virsh_each(self, *commands: Sequence[str]) -> None:
        """Run several commands in one virsh, which is quicker. Raises TestbedError."""
        words = "; ".join(shlex.join(command) for command in commands)
        # its exit status is that of the last command
        if errors := self._virsh(words).stderr.strip():
            raise TestbedError(f"virsh {words}: {errors}")

    def _virsh(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(["virsh", "--quiet", "--connect", self.uri, *arguments],
                              capture_output=True, text=True, timeout=300)

    def qemu_pid(self, name: str) -> int:
        """The pid of a running domain's qemu."""
        return int((self._pid_files / f"{name}.pid").read_text())

    def destroy_domains(self) -> None:
        """End every running domain and forget every definition."""
        for name in self.virsh("list", "--name").split():
            self.virsh("destroy", name)
        for name in self.virsh("list", "--all", "--name").split():
            self.virsh("undefine", name)


def of_this_machine(state: Path) -> Libvirt:
    """The machine's own libvirt, as its init system started it."""
    return Libvirt(state, "qemu:///system", Path("/run/libvirt/qemu"))


class PrivateLibvirt(Libvirt):
    """A virtlogd and a libvirtd whose files lie in ``state``; other libvirts are not touched.

    Domains outlive the daemons, as they do on any host; ``destroy_domains`` ends them. A file
    system that is mounted while libvirtd runs is there for new guests after ``restart`` only.
    """

    def __init__(self, state: Path, auth: str = "none") -> None:
        """Prepare, start nothing. Raises TestbedError when ``state`` is too long a path.

        :param auth: what libvirtd asks of its clients: ``none`` or ``sasl``
        """
        self._auth = auth
        self.socket = state.absolute() / "run" / "libvirt-sock"
        # the URI is good for libvirt's library and virsh outside of the namespace as well
        super().__init__(state, f"qemu+unix:///system?socket={self.socket}",
                         state.absolute() / "run" / "qemu")
        if len(str(self.socket)) > _SOCKET_PATH_MAX:
            raise TestbedError(f"{self.socket} is too long for the path of a socket")
        log_socket = self.state / "run" / "virtlogd-sock"
        self._virtlogd = self._daemon("virtlogd", log_socket)
        self._libvirtd = self._daemon("libvirtd", self.socket)

    def start(self) -> None:
        """Start what is not running. Raises TestbedError with the end of the daemon's log."""
        self._write_state()
        for daemon, socket in (
            (self._virtlogd, self.state / "run" / "virtlogd-sock"),
            (self._libvirtd, self.socket),
        ):
            if daemon.pid() is None:
                # A socket that a killed daemon left behind would look like readiness.
                socket.unlink(missing_ok=True)
            daemon.start()

    def stop(self) -> None:
        """Stop both daemons; running domains stay."""
        self.stop_libvirtd()
        self._virtlogd.stop()

    def stop_libvirtd(self) -> None:
        """Stop libvirtd alone, as a package upgrade does; running domains and their logs stay."""
        self._libvirtd.stop()

    def libvirtd_pid(self) -> int | None:
        """The pid of the running libvirtd, None when there is none."""
        return self._libvirtd.pid()

    def restart(self) -> None:
        """Stop libvirtd and start it again."""
        self.stop_libvirtd()
        self.start()

    def remove(self) -> None:
        """End all domains, stop the daemons and take away the control groups libvirt leaves."""
        self.start()
        domains = self.virsh("list", "--all", "--name").split()
        self.destroy_domains()
        self.stop()
        for domain in domains:
            _remove_groups(domain)
        for group in (self.state / "new-groups").read_text().splitlines():
            _remove_empty(Path(group))

    def _daemon(self, program: str, socket: Path) -> Daemon:
        unshare = ["unshare", "--mount", "--propagation", "unchanged"]
        command = [*unshare, str(_SCRIPT), str(self.state), program]
        pid_file = str(self.state / f"{program}.own-pid")
        return Daemon(
            name=program,
            command=[*command, "--pid-file", pid_file],
            state=self.state,
            ready=socket.exists if program == "virtlogd" else self._answers,
        )

    def _answers(self) -> bool:
        try:
            self.virsh("version")
        except TestbedError:
            return False
        return True

    def _write_state(self) -> None:
        for name in _MOUNTED:
            (self.state / name).mkdir(parents=True, exist_ok=True)
        for point in _MOUNT_POINTS:
            Path(point).mkdir(parents=True, exist_ok=True)
        (self.state / "no-kvm").touch(mode=0)
        _write_once(
            self.state / "etc" / "libvirtd.conf",
            _DAEMON_CONF.format(host_uuid=uuid.uuid4(), auth=self._auth),
        )
        _write_once(self.state / "etc" / "qemu.conf", _QEMU_CONF.format(state=self.state))
        absent = [str(group) for group in _machine_groups() if not group.exists()]
        _write_once(self.state / "new-groups", "\n".join(absent))


def _machine_groups() -> list[Path]:
    return [mount / "machine" for mount in sorted(_CGROUPS.iterdir()) if mount.is_dir()]


def _remove_groups(domain: str) -> None:
    """Take away the groups that libvirt had no time for, or that a killed guest left behind."""
    for machine in _machine_groups():
        for group in machine.glob(f"qemu-*-{domain[:_GROUP_NAME_MAX]}.libvirt-qemu"):
            # Of a domain that has the same name in another libvirt, no group is empty.
            wait_until(lambda group=group: _remove_tree(group), _GROUP_TIMEOUT_S)


def _remove_tree(group: Path) -> bool:
    for below in sorted(group.rglob("*/"), reverse=True):
        _remove_empty(below)
    _remove_empty(group)
    return not group.exists()


def _remove_empty(group: Path) -> None:
    try:
        group.rmdir()
    except OSError:
        # Gone already, or another libvirt has put its domains there meanwhile.
        return


def _write_once(path: Path, text: str) -> None:
    if not path.exists():
        path.write_text(text)
