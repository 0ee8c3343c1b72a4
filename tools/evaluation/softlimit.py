# SPDX-License-Identifier: Apache-2.0
"""Memory soft limits of servers whose host is short of memory: a further compute host of the
cloud, a virtual machine with cgroup v2, whose servers may have less memory than they work on.

On cgroup v1 only a shortage of the whole machine looks at soft limits, and nobody wants to make
one on a machine that others use too.
"""

import contextlib
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from tools.bed import packages
from tools.bed.errors import TestbedError
from tools.bed.observer import group_in
from tools.bed.processes import wait_until
from tools.bed.stack import servers, tenants
from tools.bed.stack.layout import Layout
from tools.bed.stack.node import Node, joined
from tools.bed.stack.servers import Server
from tools.bed.together import together
from tools.evaluation.recording import Look, Recording
from tools.evaluation.site import LABELS, Site, delete, on_this_machine
from tools.evaluation.sizes import PROMISED_MIB, SPARE_MIB, USED_MIB

#: Where the packages are listed that virtual hosts need.
_PACKAGES = Path(packages.__file__).with_name("machine.apt")
_NUMBER = 2
_NAMES = ("pressed-vm1", "pressed-vm2", "pressed-vm3")
_FLAVOR = "m256"
_START, _MOVED, _AFTER = (80, 80, 160), {"VM3": 80, "VM2": 160}, (80, 160, 80)
_SWAP_MIB = 2048
_EVERY_S, _BEFORE_S, _AFTER_S = 1.0, 45, 100
_MOVED_S = 300
# as the guests' occupy-memory, but not with zeros: a migration does not bring those along
_FILL = f"""\
mount -t tmpfs -o size={USED_MIB}m tmpfs /occupied
tr '\\000' x </dev/zero | head -c 1048576 >/tmp/block
n=0
while [ $((n += 1)) -le {USED_MIB} ]; do cat /tmp/block; done >/occupied/fill
"""
# not at once: while the others read, a guest does not answer
_READ = ("(sleep 30; while :; do dd if=/occupied/fill of=/dev/null bs=64k; done) "
         "</dev/null >/dev/null 2>&1 &")


def perform(site: Site, out: Path) -> None:
    """Figure 5.3: under pressure, VM2 is promised what VM3 was promised."""
    packages.ensure(packages.read_list(_PACKAGES))
    with _host(site.layout) as host, _pressed(host) as three:
        for server, mib in zip(three, _START, strict=True):
            _limit(site, server, mib)
        together(lambda server: server.inside(_READ), three)
        recording = Recording(out / "soft-limit")
        with recording.sampling("host", _look(host, three), _EVERY_S):
            recording.hold("no pressure", 5, {})
            _press(host)
            recording.hold("at first", _BEFORE_S, _due(_START))
            named = dict(zip(LABELS, three, strict=True))
            moved = [recording.note(_limit(site, named[label], mib))
                     for label, mib in _MOVED.items()]
            recording.hold("after the change", _AFTER_S, _due(_AFTER), moved)
        recording.save()


def _due(mib: Sequence[int]) -> dict[str, float]:
    return dict(zip(LABELS, mib, strict=True))


def _limit(site: Site, server: Server, mib: int) -> Any:
    return site.openstack.ask(
        "server", "qos", "set", "--memory-soft-limit", f"{mib}M", server.name)


def _press(host: Node) -> None:
    mib = PROMISED_MIB + SPARE_MIB
    print(f"  from now on all servers of {host.name} together may have {mib} MiB", flush=True)
    host.machine.run(
        "systemctl", "set-property", "--runtime", "machine.slice", f"MemoryMax={mib}M")


def _look(host: Node, three: Sequence[Server]) -> Look:
    cloud = tenants.connect()
    files = []
    for server in three:
        name = cloud.compute.get_server(server.uuid).instance_name
        pid = host.machine.run("cat", f"/run/libvirt/qemu/{name}.pid").strip()
        group = group_in(host.machine.run("cat", f"/proc/{pid}/cgroup"))
        files += [group / "memory.current", group / "memory.low"]
    heads = [f"{label}.{what}_mib" for label in LABELS for what in ("resident", "promised")]

    def look() -> Mapping[str, float]:
        values = host.machine.run("cat", *files).split()
        return {head: int(value) / 2**20 for head, value in zip(heads, values, strict=True)}

    return look


@contextlib.contextmanager
def _host(layout: Layout) -> Iterator[Node]:
    """The further compute host, with swap; it is gone at the end."""
    print(f"  compute{_NUMBER}, a virtual machine with cgroup v2, becomes a compute host",
          flush=True)
    with joined(layout, [_NUMBER]) as (host,):
        for command in (("fallocate", "-l", f"{_SWAP_MIB}M", "/swap"), ("chmod", "600", "/swap"),
                        ("mkswap", "/swap"), ("swapon", "/swap")):
            host.machine.run(*command)
        yield host


@contextlib.contextmanager
def _pressed(host: Node) -> Iterator[list[Server]]:
    """Three servers there that have filled their memory, and are deleted at the end. They boot and
    fill it where the cloud runs, since an emulated processor on an emulated one needs minutes for
    that, and migrate live."""
    cloud = tenants.connect()
    delete(cloud, _NAMES)
    began = time.monotonic()
    try:
        uuids = [servers.made(cloud, name, _FLAVOR, availability_zone=on_this_machine(cloud))
                 for name in _NAMES]
        three = [servers.awaited(cloud, name, uuid)
                 for name, uuid in zip(_NAMES, uuids, strict=True)]
        for server in three:
            print(f"  {server.name} fills {USED_MIB} MiB, and migrates", flush=True)
            server.inside(_FILL)
            cloud.compute.live_migrate_server(server.uuid, host=host.name)
        for server in three:
            if not wait_until(lambda uuid=server.uuid: _runs_on(cloud, uuid, host), _MOVED_S):
                raise TestbedError(f"{server.name} is not on {host.name} after {_MOVED_S} s")
        print(f"  three servers run there after {time.monotonic() - began:.0f} s", flush=True)
        yield three
    finally:
        delete(cloud, _NAMES)


def _runs_on(cloud: Any, uuid: str, host: Node) -> bool:
    server = cloud.compute.get_server(uuid)
    if (server.status, server.task_state) == ("ACTIVE", None) and server.compute_host == host.name:
        return True
    if server.status in ("ACTIVE", "ERROR") and server.task_state is None:
        raise TestbedError(f"{server.name} has not migrated: the log of nova-compute tells why")
    return False
