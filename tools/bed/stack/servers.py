# SPDX-License-Identifier: Apache-2.0
"""Servers of the cloud: three that stay for later runs, and others; what their guests say."""

import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

from tools.bed.errors import TestbedError
from tools.bed.stack import tenants
from tools.bed.stack.network import OUTSIDE
from tools.bed.stack.scripts import posted

#: The three that stay.
NAMES = ("vm1", "vm2", "vm3")
FLAVOR, MEMORY_MIB = "m512", tenants.FLAVORS["m512"]
_TIMEOUT_S = 120


@dataclass(frozen=True)
class Server:
    """A running server and where its guest answers."""

    name: str
    uuid: str
    address: str

    def inside(self, script: str) -> list[str]:
        """As ``inside``, in its guest."""
        return inside(self.address, script)


def inside(
    address: str, script: str, retries: int = 10, within_s: float = 60
) -> list[str]:
    """Run a line of shell in the guest at that address, once, over its network; the lines it
    prints.

    :param retries: how often a guest is tried again, after a second, that cannot be reached: it
        still boots, or has just migrated
    :param within_s: how long one that was reached may take to answer
    :raises TestbedError: there is no answer, or the exit status is not 0
    """
    url = f"http://{address}/cgi-bin/run"
    send = partial(posted, url, script, within_s, through=("ip", "netns", "exec", OUTSIDE))
    answer = send()
    while retries and answer.is_not_sent:
        time.sleep(1)
        retries -= 1
        answer = send()
    *lines, status = answer.printed.strip().splitlines() or [""]
    if not answer.is_whole or status != "exit status 0":
        raise TestbedError(f"{script} in the guest at {address}: {answer.printed}{answer.said}")
    return lines


def running() -> list[Server]:
    """The three servers, running, their balloon drivers alive.

    :raises TestbedError: one does not get there
    """
    cloud = tenants.connect()
    uuids = {name: made(cloud, name) for name in NAMES}
    return [awaited(cloud, name, uuid) for name, uuid in uuids.items()]


def made(
    cloud: Any, name: str, flavor: str = FLAVOR, network: str = tenants.NETWORK, **more: str
) -> str:
    """The uuid of the server of that name, which is on its way to run.

    :param more: of the request for a new one, such as ``availability_zone``
    """
    found = cloud.compute.find_server(name)
    if found and found.status == "SHUTOFF":
        cloud.compute.start_server(found)
    elif found and found.status != "ACTIVE":
        # whatever others did with it, a new one takes seconds
        cloud.compute.delete_server(found, force=True)
        cloud.compute.wait_for_delete(found, wait=_TIMEOUT_S)
        found = None
    if not found:
        found = cloud.compute.create_server(
            name=name,
            image_id=cloud.image.find_image(tenants.IMAGE, ignore_missing=False).id,
            flavor_id=cloud.compute.find_flavor(flavor, ignore_missing=False).id,
            networks=[{"uuid": cloud.network.find_network(network).id}], **more)
    return str(found.id)


def awaited(cloud: Any, name: str, uuid: str, timeout_s: float = _TIMEOUT_S) -> Server:
    """The server when it runs and its balloon driver lives.

    :raises TestbedError: it does not get there
    """
    def is_active() -> bool:
        server = cloud.compute.get_server(uuid)
        if server.status == "ERROR":
            fault = (server.fault or {}).get("message", "no reason given")
            raise TestbedError(f"{name} does not start: {fault}")
        return bool(server.status == "ACTIVE")

    def has_balloon() -> bool:
        action = {"balloon-driver-enabled": None}
        answer = cloud.compute.post(f"/servers/{uuid}/action", json=action)
        return bool(answer.ok and answer.json()["ballooning_enabled"])

    _wait(is_active, f"{name} is not active", timeout_s)
    _wait(has_balloon, f"the balloon driver of {name} does not answer", timeout_s)
    addresses = cloud.compute.get_server(uuid).addresses
    # a floating IP comes after the address that it stands for
    return Server(name, uuid, next(str(each[-1]["addr"]) for each in addresses.values()))


@contextlib.contextmanager
def floating_ip(cloud: Any, uuid: str) -> Iterator[str]:
    """A floating IP for a server behind the router, for a while."""
    (port,) = cloud.network.ports(device_id=uuid)
    outside = cloud.network.find_network(tenants.NETWORK, ignore_missing=False)
    made = cloud.network.create_ip(floating_network_id=outside.id, port_id=port.id)
    try:
        yield str(made.floating_ip_address)
    finally:
        cloud.network.delete_ip(made)


def _wait(condition: Callable[[], bool], complaint: str, timeout_s: float) -> None:
    give_up = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > give_up:
            raise TestbedError(f"{complaint} after {timeout_s:g} s")
        time.sleep(0.5)
