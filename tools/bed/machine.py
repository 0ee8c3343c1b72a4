# SPDX-License-Identifier: Apache-2.0
"""A virtual test host under emulation, reached over ssh."""

import contextlib
import os
import shlex
import socket
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

from .command import run
from .debian import PAYLOAD, DebianImage
from .errors import TestbedError
from .processes import Daemon, wait_until

_BOOT_S = 600
#: As nice(1) counts: nine times the weight of a session that nobody has changed.
_AHEAD = -10
_SSH = ("-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=no", "-o", "LogLevel=ERROR",
        "-o", "UserKnownHostsFile=/dev/null", "-o", "ControlMaster=auto",
        "-o", "ControlPersist=60", "-o", "ConnectTimeout=20")


class Machine:
    """Its files lie in ``state``: an overlay of the image's disk, console.log, qemu's log.

    It outlives this process until ``stop``; made again with the same state it is the same machine.
    """

    def __init__(
        self, image: DebianImage, name: str, state: Path, *, payload: Path | None = None,
        memory_mib: int = 3072, taps: Sequence[str] = (),
    ) -> None:
        """Describe it, start nothing.

        ``payload`` is a disk that it sees read-only at ``debian.PAYLOAD``; for each of ``taps``,
        devices of this machine, it has a further network card: eth1, eth2, ...
        """
        self.name = name
        self.state = state
        self._image = image
        self._payload = payload
        self._port = _remembered_port(state)
        command = [
            "qemu-system-x86_64", "-name", name, "-nodefaults", "-display", "none", "-no-reboot",
            "-accel", "tcg,thread=multi,tb-size=512", "-cpu", "max", "-smp", "2",
            "-m", str(memory_mib), "-kernel", str(image.kernel), "-initrd", str(image.initramfs),
            # no KVM inside, unless somebody asks for it: each probe would patch the scheduler, and
            # an emulated processor that goes on executing what was there before hangs for ever
            "-append", "root=/dev/vda rw console=ttyS0 net.ifnames=0 quiet "
            "modprobe.blacklist=kvm,kvm_amd "
            f"systemd.hostname={name} systemd.show_status=false",
            "-serial", f"file:{state}/console.log", "-device", "virtio-rng-pci",
            "-drive", f"file={state}/disk.qcow2,if=virtio,cache=unsafe",
            "-nic", f"user,model=virtio-net-pci,hostfwd=tcp:127.0.0.1:{self._port}-:22",
        ]
        if payload is not None:
            command += ["-drive", f"file={payload},if=virtio,format=raw,read-only=on"]
        for tap in taps:
            command += ["-nic", f"tap,ifname={tap},script=no,downscript=no,model=virtio-net-pci,"
                        f"mac={mac_of(tap)}"]
        self._daemon = Daemon(name, command, state)

    def start(self) -> None:
        """Boot it, if it does not run, and wait until it answers. Raises TestbedError."""
        self.boot()
        self.wait()

    def boot(self) -> None:
        """Begin to boot it, if it does not run."""
        if self._daemon.pid() is None:
            self.state.mkdir(parents=True, exist_ok=True)
            (self.state / "disk.qcow2").unlink(missing_ok=True)
            run("qemu-img", "create", "-q", "-f", "qcow2", "-F", "raw", "-b", self._image.disk,
                self.state / "disk.qcow2")
            self._daemon.start()

    def wait(self) -> None:
        """Wait until it has booted. Raises TestbedError with the console's end."""
        if not wait_until(self._answers, _BOOT_S):
            raise TestbedError(f"{self.name} does not answer; end of {self.state}/console.log:\n"
                               f"{self.console()[-2000:]}\n{self._daemon.log_tail()}")

    def stop(self) -> None:
        """Pull its plug."""
        with contextlib.suppress(TestbedError):
            run("ssh", *self._options(), "-O", "exit", "root@127.0.0.1")
        self._daemon.stop()

    def restart(self) -> None:
        """Pull its plug, and boot it from what its disk holds. Raises TestbedError."""
        self.stop()
        self._daemon.start()
        self.wait()

    def is_running(self) -> bool:
        """Whether its plug is in."""
        return self._daemon.pid() is not None

    @contextlib.contextmanager
    def ahead(self) -> Iterator[None]:
        """While inside, it has its processors although the rest of this machine is busy, as a host
        made of metal has them."""
        self._daemon.weigh(_AHEAD)
        try:
            yield
        finally:
            self._daemon.weigh(os.getpriority(os.PRIO_PROCESS, 0))

    def console(self) -> str:
        """What it has written to its console."""
        path = self.state / "console.log"
        return path.read_text(errors="replace") if path.exists() else ""

    def run(self, *command: str | Path, feed: str = "", timeout_s: float = 300) -> str:
        """What a program in the machine prints; ``feed`` is its input.

        Raises TestbedError when it fails or takes longer.
        """
        answer = self._call(command, feed, timeout_s)
        if answer.returncode:
            raise TestbedError(f"{shlex.join(map(str, command))[:300]} on {self.name}: "
                               f"{(answer.stdout + answer.stderr).strip()[-2000:]}")
        return answer.stdout

    def stream(self, *command: str | Path, timeout_s: float = 1500) -> int:
        """Run a program in the machine with its output shown here; its exit status."""
        words = self._ssh(*command)
        return subprocess.run(words, stdin=subprocess.DEVNULL, timeout=timeout_s).returncode

    def write(self, path: str, text: str) -> None:
        """Put a file there, with its directories. Raises TestbedError."""
        self.run("mkdir", "-p", str(Path(path).parent))
        self.run("dd", f"of={path}", "status=none", feed=text)

    def send(self, directory: Path, names: Sequence[str], destination: str) -> None:
        """Replace ``destination`` by these entries of ``directory``. Raises TestbedError."""
        self.run("rm", "-rf", destination)
        self.run("mkdir", "-p", destination)
        words = ["tar", "--create", "--exclude=__pycache__", "-C", str(directory), *names]
        unpack = self._ssh("tar", "--extract", "-C", destination)
        with subprocess.Popen(words, stdout=subprocess.PIPE) as archive:
            answer = subprocess.run(unpack, stdin=archive.stdout, capture_output=True, text=True)
        if answer.returncode or archive.returncode:
            raise TestbedError(f"{directory} not sent to {self.name}: {answer.stderr.strip()}")

    def _call(
        self, command: Sequence[str | Path], feed: str, timeout_s: float
    ) -> "subprocess.CompletedProcess[str]":
        words = self._ssh(*command)
        try:
            return subprocess.run(
                words, input=feed, capture_output=True, text=True, timeout=timeout_s)
        except subprocess.TimeoutExpired as error:
            raise TestbedError(f"{words[-1][:300]} on {self.name} took {timeout_s:g} s") from error

    def _ssh(self, *command: str | Path) -> list[str]:
        return ["ssh", *self._options(), "root@127.0.0.1", shlex.join(map(str, command))]

    def _options(self) -> list[str]:
        return [*_SSH, "-i", str(self._image.key), "-p", str(self._port),
                "-o", f"ControlPath={self.state}/ssh"]

    def _answers(self) -> bool:
        if self._daemon.pid() is None:
            raise TestbedError(f"{self.name} ended:\n{self._daemon.log_tail()}")
        signs = [["systemctl", "is-active", "-q", "libvirtd.socket"]]
        if self._payload is not None:
            signs.append(["mountpoint", "-q", PAYLOAD])
        return all(self._call(sign, "", 60).returncode == 0 for sign in signs)


@contextlib.contextmanager
def booted(machine: Machine) -> Iterator[Machine]:
    """The machine while it runs; its plug is pulled at the end. Raises TestbedError."""
    try:
        machine.start()
        yield machine
    finally:
        machine.stop()


def mac_of(tap: str) -> str:
    """The address of the card behind a tap, in qemu's own range."""
    return "52:54:00:" + ":".join(f"{byte:02x}" for byte in tap.encode()[-3:].rjust(3, b"\0"))


def _remembered_port(state: Path) -> int:
    """A free port of loopback, the same each time for one machine."""
    path = state / "port"
    if not path.exists():
        state.mkdir(parents=True, exist_ok=True)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            path.write_text(str(free.getsockname()[1]))
    return int(path.read_text())
