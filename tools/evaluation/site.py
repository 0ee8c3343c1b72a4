# SPDX-License-Identifier: Apache-2.0
"""The cloud with the evaluation's three servers, and everything that asks and looks."""

import contextlib
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tools.bed.errors import TestbedError
from tools.bed.libvirtd import Libvirt
from tools.bed.observer import Observer
from tools.bed.processes import wait_until
from tools.bed.stack import host, servers, services, tenants
from tools.bed.stack.layout import Layout
from tools.bed.stack.servers import Server
from tools.bed.together import together
from tools.evaluation.asking import TimedCommand
from tools.evaluation.recording import Recording
from tools.evaluation.records import Exchange

#: User 1 has two of them, user 2 has the third.
NAMES = ("user1-vm1", "user1-vm2", "user2-vm3")
LABELS = ("VM1", "VM2", "VM3")
MEMORY_MIB = 2048
_FLAVOR = "evaluation"
_TIMEOUT_S = 120


class LeftOut(Exception):
    """This machine does not let an experiment be made; the message says why."""


@dataclass(frozen=True)
class Site:
    """``servers`` in the order of ``LABELS``, each with one virtual CPU and ``MEMORY_MIB``."""

    layout: Layout
    servers: Sequence[Server]
    observer: Observer
    libvirt: Libvirt
    nova: TimedCommand
    openstack: TimedCommand
    random: random.Random

    def labelled(self) -> Iterator[tuple[str, Server]]:
        """The servers with their labels."""
        return zip(LABELS, self.servers, strict=True)

    def each(self, work: Callable[[Server], object]) -> None:
        """Do something with all servers at the same time."""
        together(work, self.servers)

    def give(self, command: str, values: Sequence[int]) -> None:
        """Let ``nova`` give each server its value."""
        for server, value in zip(self.servers, values, strict=True):
            self.nova.ask(command, server.name, str(value))

    def clear(self) -> None:
        """Unset everything of all servers, by one request."""
        self.openstack.ask("server", "qos", "unset", "--all", *(each.name for each in self.servers))

    def change(
        self, recording: Recording, command: str, changes: Mapping[str, int]
    ) -> list[Exchange]:
        """Let ``nova`` give the servers of these labels other values, one after the other."""
        named = dict(self.labelled())
        return [recording.note(self.nova.ask(command, named[label].name, str(value)))
                for label, value in changes.items()]


@contextlib.contextmanager
def opened(layout: Layout, seed: int) -> Iterator[Site]:
    """The site with new servers, which are deleted at the end.

    :raises TestbedError: one does not start
    """
    cloud = tenants.connect()
    _remove(cloud)
    try:
        cloud.compute.create_flavor(name=_FLAVOR, ram=MEMORY_MIB, vcpus=1, disk=0)
        uuids = [servers.made(cloud, name, _FLAVOR, availability_zone=on_this_machine(cloud))
                 for name in NAMES]
        three = [servers.awaited(cloud, name, uuid)
                 for name, uuid in zip(NAMES, uuids, strict=True)]
        yield Site(layout, three, host.observer(layout), services.libvirt(layout),
                   TimedCommand(layout, "nova"), TimedCommand(layout, "openstack"),
                   random.Random(seed))
    finally:
        _remove(cloud)


def _remove(cloud: Any) -> None:
    delete(cloud, NAMES)
    flavor = cloud.compute.find_flavor(_FLAVOR)
    if flavor:
        cloud.compute.delete_flavor(flavor)


def on_this_machine(cloud: Any) -> str:
    """The availability zone of the cloud's own host: others may have joined it."""
    (here,) = cloud.compute.services(binary="nova-scheduler")
    return f"nova:{here.host}"


def delete(cloud: Any, names: Sequence[str]) -> None:
    """Delete the servers of these names that there are, and wait until they are gone.

    :raises TestbedError: one is not gone in time
    """
    found = [server for name in names if (server := cloud.compute.find_server(name))]
    for server in found:
        cloud.compute.delete_server(server, force=True)
    # not the SDK's own wait, which ends when nova still has to forget the server
    if not wait_until(lambda: not any(map(cloud.compute.find_server, names)), _TIMEOUT_S):
        raise TestbedError(f"{', '.join(names)} not all gone after {_TIMEOUT_S} s")
