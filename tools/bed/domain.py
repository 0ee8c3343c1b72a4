# SPDX-License-Identifier: Apache-2.0
"""One real guest, defined as nova defines its servers."""

import socket
import subprocess
import uuid
from dataclasses import dataclass, field
from pathlib import Path

from .errors import TestbedError
from .guest import GuestImages
from .libvirtd import Libvirt
from .observer import group_of
from .processes import wait_until

_XML = """\
<domain type="{kind}">
  <name>{name}</name>
  <uuid>{uuid}</uuid>
  <memory unit="MiB">{memory_mib}</memory>
  <vcpu>{vcpus}</vcpu>
  {memory_backing}
  {resource}
  <os>
    <type machine="pc">hvm</type>
    <kernel>{kernel}</kernel>
    <initrd>{initramfs}</initrd>
    <cmdline>console=ttyS0 quiet no_timer_check {options}</cmdline>
  </os>
  <features><acpi/>{translated}</features>
  <on_reboot>restart</on_reboot>
  <devices>
    <emulator>/usr/bin/qemu-system-x86_64</emulator>
    {disk}
    {swap}
    <serial type="file"><source path="{console}"/><target port="0"/></serial>
    <serial type="unix"><source mode="bind" path="{shell}"/><target port="1"/></serial>
    {interface}
    {memballoon}
  </devices>
</domain>
"""
_DISK = """\
<disk type="{kind}" device="disk">
      <driver name="qemu" type="{content}" cache="none"/>
      <source {source}="{path}"/>
      <target dev="vda" bus="virtio"/>
    </disk>"""
_SWAP = """\
<disk type="file" device="disk">
      <driver name="qemu" type="raw" cache="none"/>
      <source file="{path}"/>
      <target dev="vdb" bus="virtio"/>
    </disk>"""
_MEMBALLOON = """\
<memballoon model="virtio" autodeflate="on" freePageReporting="on">
      <stats period="{period_s}"/>
    </memballoon>"""
_INTERFACE = """\
<interface type="bridge">
      <source bridge="{bridge}"/>
      <model type="virtio"/>
    </interface>"""
_READY = "guest ready"
_PROMPT = b"<exit status "
# in an emulated machine beside other work, minutes
_BOOT_TIMEOUT_S = 600
_ANSWER_TIMEOUT_S = 60


def memballoon_xml(period_s: int = 2) -> str:
    """The balloon device as nova writes it; ``period_s`` 0 means no statistics."""
    return _MEMBALLOON.format(period_s=period_s)


@dataclass(frozen=True)
class Shape:
    """What a guest has.

    ``options`` go to the guest's kernel command line: ``noballoon`` leaves the balloon driver out.
    ``disk_directory`` puts the disk elsewhere, on a device of the test's; ``disk_device`` is the
    disk, as it is. ``bridge`` gives it a network interface there. ``swap_mib`` gives it a second
    disk that it swaps to. With ``kvm`` it is not emulated, where this machine offers that.
    ``partition`` names the control group, as libvirt does, below which its own is made; it must be
    there. ``code_mib``: how much translated code its QEMU keeps, which grows to a GiB otherwise.
    """

    memory_mib: int = 256
    vcpus: int = 1
    options: str = ""
    memballoon: str = field(default_factory=memballoon_xml)
    memory_backing: str = ""
    disk_directory: Path | None = None
    disk_device: Path | None = None
    bridge: str | None = None
    swap_mib: int = 0
    kvm: bool = False
    partition: str | None = None
    code_mib: int | None = None


class TestGuest:
    """A guest whose console, shell and disk lie in a directory of its own."""

    __test__ = False

    def __init__(
        self, libvirt: Libvirt, images: GuestImages, name: str, shape: Shape | None = None
    ) -> None:
        """Define it, do not start it."""
        shape = shape or Shape()
        self.name = name
        self.uuid = str(uuid.uuid4())
        self.memory_mib = shape.memory_mib
        self._libvirt = libvirt
        self._place = libvirt.state / "guests" / name
        self._place.mkdir(parents=True, exist_ok=True)
        definition = self._place / "domain.xml"
        definition.write_text(self._xml(images, shape))
        libvirt.virsh("define", str(definition))

    def _xml(self, images: GuestImages, shape: Shape) -> str:
        interface = "" if shape.bridge is None else _INTERFACE.format(bridge=shape.bridge)
        return _XML.format(
            name=self.name,
            uuid=self.uuid,
            memory_mib=shape.memory_mib,
            vcpus=shape.vcpus,
            kernel=images.kernel,
            initramfs=images.initramfs,
            options=shape.options,
            disk=self._disk_xml(images, shape),
            swap=self._swap_xml(shape),
            console=self._place / "console.log",
            shell=self._place / "shell",
            memballoon=shape.memballoon,
            memory_backing=shape.memory_backing,
            resource=_resource_xml(shape),
            translated=_translated_xml(shape),
            kind="kvm" if shape.kvm else "qemu",
            interface=interface,
        )

    def _disk_xml(self, images: GuestImages, shape: Shape) -> str:
        if shape.disk_device is not None:
            return _DISK.format(kind="block", content="raw", source="dev", path=shape.disk_device)
        overlay = (shape.disk_directory or self._place) / f"{self.name}.qcow2"
        _overlay(images.disk, overlay)
        return _DISK.format(kind="file", content="qcow2", source="file", path=overlay)

    def _swap_xml(self, shape: Shape) -> str:
        if not shape.swap_mib:
            return ""
        path = self._place / "swap.raw"
        with path.open("wb") as disk:
            disk.truncate(shape.swap_mib * 2**20)
        return _SWAP.format(path=path)

    def start(self, *flags: str) -> None:
        """Start it and wait until its shell answers. Raises TestbedError with the console's end."""
        self._libvirt.virsh("start", self.name, *flags)
        if "--paused" not in flags:
            self.wait_for_shell()

    def wait_for_shell(self) -> None:
        """Wait until the guest has booted. Raises TestbedError with the console's end."""
        if not wait_until(lambda: _READY in self.console(), _BOOT_TIMEOUT_S):
            raise TestbedError(f"guest {self.name} did not boot:\n{self.console()[-1000:]}")

    def remove(self) -> None:
        """Destroy it if it runs and forget it."""
        if self.name in self._libvirt.virsh("list", "--name").split():
            self._libvirt.virsh("destroy", self.name)
        self._libvirt.virsh("undefine", self.name)

    def console(self) -> str:
        """What the guest has written to its console."""
        try:
            return (self._place / "console.log").read_text(errors="replace")
        except FileNotFoundError:
            return ""

    def run(self, command: str, timeout_s: float = _ANSWER_TIMEOUT_S) -> str:
        """Run one line of shell in the guest and return its output.

        Raises TestbedError when it fails, or prints nothing for ``timeout_s`` and does not end.
        """
        with self._send(command) as shell:
            shell.settimeout(timeout_s)
            answer = b""
            while _PROMPT not in answer or not answer.endswith(b">\n"):
                try:
                    answer += shell.recv(4096)
                except TimeoutError as error:
                    raise TestbedError(f"{command} in guest {self.name} does not end") from error
        output, _, status = answer.decode(errors="replace").rpartition(_PROMPT.decode())
        if status.strip() != "0>":
            raise TestbedError(f"{command} in guest {self.name}: {output.strip()}")
        return output.strip()

    def crash(self) -> None:
        """Let the guest's kernel panic and hang; its qemu goes on running."""
        with self._send("echo c > /proc/sysrq-trigger"):
            if not wait_until(lambda: "Kernel panic" in self.console(), _ANSWER_TIMEOUT_S):
                raise TestbedError(f"guest {self.name} does not crash")

    def restart_itself(self) -> None:
        """Let the guest restart, as a person inside would, and wait until it has booted again.

        Raises TestbedError with the console's end.
        """
        boots = self.console().count(_READY)
        with self._send("echo b > /proc/sysrq-trigger"):
            if not wait_until(lambda: self.console().count(_READY) > boots, _BOOT_TIMEOUT_S):
                raise TestbedError(f"guest {self.name} did not boot:\n{self.console()[-1000:]}")

    def memory_kib(self, field: str) -> int:
        """A line of the guest's own /proc/meminfo, such as MemTotal or MemAvailable, in KiB."""
        return int(self.run(f"grep ^{field}: /proc/meminfo").split()[1])

    def cgroup_value(self, controller: str, file: str) -> str:
        """Read a file of the domain's cgroup v1 group, as the kernel shows it."""
        group = group_of(self._libvirt.qemu_pid(self.name), controller)
        return (group / file).read_text().strip()

    def _send(self, command: str) -> socket.socket:
        shell = socket.socket(socket.AF_UNIX)
        shell.settimeout(_ANSWER_TIMEOUT_S)
        shell.connect(str(self._place / "shell"))
        shell.sendall(command.encode() + b"\n")
        return shell


def _translated_xml(shape: Shape) -> str:
    if shape.code_mib is None:
        return ""
    return f'<tcg><tb-cache unit="MiB">{shape.code_mib}</tb-cache></tcg>'


def _resource_xml(shape: Shape) -> str:
    if shape.partition is None:
        return ""
    return f"<resource><partition>{shape.partition}</partition></resource>"


def _overlay(backing: Path, disk: Path) -> None:
    command = ["qemu-img", "create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", str(backing)]
    subprocess.run([*command, str(disk)], check=True)
