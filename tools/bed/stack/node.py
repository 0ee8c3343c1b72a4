# SPDX-License-Identifier: Apache-2.0
"""A further compute host of the cloud: a virtual machine with systemd, cgroup v2, Open vSwitch.

Its second network card, eth1, is on the cloud's physical network, where the other hosts' libvirt
reaches it too. Inside, the cloud's files lie where they lie on this machine.
"""

import configparser
import contextlib
import io
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from tools.bed import payload, release
from tools.bed.debian import DebianImage
from tools.bed.errors import TestbedError
from tools.bed.guest import GuestImages
from tools.bed.machine import Machine
from tools.bed.processes import wait_until
from tools.bed.stack import leftovers, schema, services, tenants
from tools.bed.stack.layout import BROKER_PORT, CACHE_PORT, PORTS, Layout
from tools.bed.stack.network import BRIDGE, EXTERNAL, NODE
from tools.bed.stack.shell import run, try_run
from tools.bed.vmhost import CACHE, PARTS, TREE

_SCRIPT = Path(__file__).with_name("node.sh")
_HERE = "10.77.0.200"
_MEMORY_MIB = 2560
_UP_S = 600
#: How long nova waits for an answer of a host under emulation, and such a host for one: what nova
#: waits unless told otherwise. The demo's nova is told to be faster.
_ANSWER_S = 60
_AGENT = "nova-qos-agent"
UNITS = ("neutron-openvswitch-agent", "nova-compute", _AGENT)
#: Where an operator has the agent's unit, and what it is there with cgroup v2.
_UNIT = Path("/etc/systemd/system") / f"{_AGENT}.service"
_DROP_INS = Path(f"{_UNIT}.d")
_SWITCH = "unix:/run/openvswitch/db.sock"


class Node:
    """One such host, ``compute2`` and on; made again it is the same one until ``down``."""

    def __init__(self, layout: Layout, number: int) -> None:
        self.name = f"compute{number}"
        self.address = f"10.77.0.{200 + number}"
        self._layout = layout
        self._tap = f"{NODE}{number}"
        self._state = layout.state / "nodes" / self.name
        self._image = DebianImage.build(CACHE, release.own())
        self.machine = Machine(
            self._image, self.name, self._state, payload=_payload(layout),
            memory_mib=_MEMORY_MIB, taps=[self._tap])

    def boot(self) -> None:
        """Begin to boot it, with its card on the physical network, if it does not run."""
        if self.machine.is_running():
            return
        _join_physical_network()
        # of one that did not come so far as to run
        try_run("ip", "link", "delete", self._tap)
        run("ip", "tuntap", "add", "dev", self._tap, "mode", "tap")
        run("ip", "link", "set", self._tap, "master", BRIDGE, "up")
        _make_payload(self._layout)
        self.machine.boot()

    def configure(self) -> None:
        """Wait until it has booted, and start what a compute host runs.

        :raises TestbedError: a step failed
        """
        machine = self.machine
        machine.wait()
        machine.send(self._layout.repository, PARTS, TREE)
        machine.write("/root/node.sh", _SCRIPT.read_text())
        machine.write("/root/.ssh/id_ed25519", self._image.key.read_text())
        machine.run("bash", "/root/node.sh", self._layout.state, self.address, EXTERNAL,
                    ",".join(map(str, (BROKER_PORT, CACHE_PORT, *PORTS.values()))))
        for service, name, changes in self._files():
            path = self._layout.etc(service) / name
            machine.write(str(path), _changed(path, changes))
        self._install_agent()
        for unit in UNITS:
            self.start(unit)

    def restart(self) -> None:
        """As after a power cut: it boots from its disk, and starts what a compute host runs.

        :raises TestbedError: a step failed
        """
        self.machine.restart()
        self.configure()

    def start(self, unit: str) -> None:
        """Start one of ``UNITS``."""
        if unit == _AGENT:
            self.machine.run("systemctl", "start", unit)
            return
        self.machine.run(
            "systemd-run", f"--unit={unit}", "--collect",
            *(f"--setenv={name}={value}" for name, value in self._environment().items()),
            *self._command(unit))

    def stop(self, unit: str) -> None:
        """Stop one of ``UNITS``."""
        self.machine.run("systemctl", "stop", unit)

    def log(self, unit: str) -> str:
        """What one of ``UNITS`` has logged."""
        return self.machine.run("journalctl", "--unit", unit, "--output=cat", "--no-pager")

    def down(self) -> None:
        """Pull its plug and take its card away."""
        self.machine.stop()
        try_run("ip", "link", "delete", self._tap)

    def is_up(self, cloud: Any) -> bool:
        """Whether all its services have told the cloud, as its administrator sees it."""
        up = {each.binary for each in cloud.compute.services(host=self.name)
              if each.state == "up"}
        agents = list(cloud.network.agents(host=self.name))
        return up == {"nova-compute", _AGENT} and any(each.is_alive for each in agents)

    def forget(self, cloud: Any) -> None:
        """Take it out of the cloud's books."""
        for service in list(cloud.compute.services(host=self.name)):
            cloud.compute.delete_service(service)
        for agent in list(cloud.network.agents(host=self.name)):
            cloud.network.delete_agent(agent)

    def _command(self, unit: str) -> list[str]:
        etc = self._layout.etc("neutron")
        files = {
            "neutron-openvswitch-agent": [etc / "neutron.conf", etc / "ovs-agent.ini"],
        }.get(unit, [self._layout.etc("nova-compute") / "nova.conf"])
        return [self._layout.program(unit),
                *(word for file in files for word in ("--config-file", str(file)))]

    def _environment(self) -> dict[str, str]:
        state = self._layout.state
        return {"PATH": f"{state}/bin:{state}/venv/bin:/usr/sbin:/usr/bin",
                "PYTHONPATH": f"{TREE}:{TREE}/hooks", "PYTHONDONTWRITEBYTECODE": "1"}

    def _install_agent(self) -> None:
        """The unit as it is shipped, with the drop-in for cgroup v2; but for where things lie."""
        samples = self._layout.repository / "etc" / "nova-qos"
        environment = " ".join(f"{name}={value}" for name, value in self._environment().items())
        files = {
            _UNIT: (samples / _UNIT.name).read_text(),
            _DROP_INS / "cgroup-v2.conf": (samples / f"{_AGENT}-cgroup-v2.conf").read_text(),
            _DROP_INS / "places.conf":
                f"[Service]\nEnvironment={environment}\n"
                # the unit has a /tmp of its own, and the cloud's files may lie there
                f"BindReadOnlyPaths={self._layout.state}\n"
                f"ExecStart=\nExecStart={' '.join(self._command(_AGENT))}\n",
        }
        self.machine.run("groupadd", "--force", "--system", "nova")
        for path, text in files.items():
            self.machine.write(str(path), text)
        self.machine.run("systemctl", "daemon-reload")

    def _files(self) -> list[tuple[str, str, dict[str, Mapping[str, object]]]]:
        return [
            ("neutron", "neutron.conf", {}),
            ("neutron", "ovs-agent.ini", {
                "ovs": {"ovsdb_connection": _SWITCH, "datapath_type": "system"}}),
            ("nova-compute", "nova.conf", {
                "DEFAULT": {"my_ip": self.address, "rpc_response_timeout": _ANSWER_S,
                            # as operators have it where servers are to run again after a power cut
                            "resume_guests_state_on_host_boot": True},
                "libvirt": {"connection_uri": "qemu:///system",
                            "live_migration_inbound_addr": self.address},
                "os_vif_ovs": {"ovsdb_connection": _SWITCH},
                # before a live migration, nova takes the guest's kernel for a disk
                "workarounds": {"disable_deep_image_inspection": True},
                # what an event brings is not to be brought by a check
                "nova_qos": {"uplinks": "eth1", "check_interval": 300, "policy_interval": 60,
                             "state_directory": "/var/lib/nova-qos"}}),
        ]


@contextlib.contextmanager
def joined(layout: Layout, numbers: Sequence[int]) -> Iterator[list[Node]]:
    """The nodes of these numbers, once the cloud can use them; at the end they are gone.

    :raises TestbedError: one does not come up
    """
    # taking the cloud down ends them, whatever becomes of this process
    leftovers.mark(layout)
    cloud = tenants.connect()
    nodes = [Node(layout, number) for number in numbers]
    names = ", ".join(node.name for node in nodes)
    began = time.monotonic()
    with _patient(layout), contextlib.ExitStack() as at_end:
        at_end.callback(_leave, cloud, nodes)
        for node in nodes:
            # nova takes no host for a new one that it has in its books
            node.forget(cloud)
            node.boot()
        for node in nodes:
            node.configure()
        if not wait_until(lambda: all(node.is_up(cloud) for node in nodes), _UP_S):
            raise TestbedError(f"{names} not up after {_UP_S} s")
        schema.discover_hosts(layout)
        print(f"\n  {names} up after {time.monotonic() - began:.0f} s", flush=True)
        yield nodes


def _leave(cloud: Any, nodes: Sequence[Node]) -> None:
    for node in nodes:
        node.down()
    # last, since the cloud may refuse
    for node in nodes:
        node.forget(cloud)


@contextlib.contextmanager
def _patient(layout: Layout) -> Iterator[None]:
    """While inside, this machine's nova-compute waits for other hosts, too."""
    file = layout.run / "patient.conf"
    file.write_text(f"[DEFAULT]\nrpc_response_timeout = {_ANSWER_S}\n")
    services.nova_compute(layout).stop()
    try:
        services.nova_compute(layout, file).start()
        yield
    finally:
        services.nova_compute(layout).stop()
        services.nova_compute(layout).start()


def _payload(layout: Layout) -> Path:
    return layout.state / "nodes" / "payload.raw"


def _make_payload(layout: Layout) -> None:
    """The cloud's own Python packages, for all nodes."""
    disk = _payload(layout)
    if not disk.exists():
        payload.make(disk, layout.state / "venv", GuestImages.build(layout.state / "guests"))


def _join_physical_network() -> None:
    """Let this machine reach the others there, to send servers to them."""
    try_run("ip", "address", "add", f"{_HERE}/24", "dev", BRIDGE)


def _changed(path: Path, changes: Mapping[str, Mapping[str, object]]) -> str:
    """The text of a configuration file with some values changed."""
    parser = configparser.RawConfigParser(strict=False)
    parser.optionxform = str  # type: ignore[method-assign, assignment]
    parser.read(path)
    for section, options in changes.items():
        if section != "DEFAULT" and not parser.has_section(section):
            parser.add_section(section)
        for name, value in options.items():
            parser.set(section, name, str(value))
    text = io.StringIO()
    parser.write(text)
    return text.getvalue()
