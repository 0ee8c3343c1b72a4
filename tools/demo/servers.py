# SPDX-License-Identifier: Apache-2.0
"""The demo's three servers: booted once, used again by later runs."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tools.bed.stack import tenants
from tools.demo.errors import DemoFailed

NAMES = ("vm1", "vm2", "vm3")
FLAVOR, MEMORY_MIB = "m512", tenants.FLAVORS["m512"]
_TIMEOUT_S = 120


@dataclass(frozen=True)
class Server:
    """A running server and where its guest answers."""

    name: str
    uuid: str
    address: str


def running() -> list[Server]:
    """The three servers, running, their balloon drivers alive.

    :raises DemoFailed: one does not get there
    """
    cloud = tenants.connect()
    uuids = {name: made(cloud, name) for name in NAMES}
    return [awaited(cloud, name, uuid) for name, uuid in uuids.items()]


def made(cloud: Any, name: str, flavor: str = FLAVOR, **more: str) -> str:
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
            networks=[{"uuid": cloud.network.find_network(tenants.NETWORK).id}], **more)
    return str(found.id)


def awaited(cloud: Any, name: str, uuid: str, timeout_s: float = _TIMEOUT_S) -> Server:
    """The server when it runs and its balloon driver lives.

    :raises DemoFailed: it does not get there
    """
    def is_active() -> bool:
        server = cloud.compute.get_server(uuid)
        if server.status == "ERROR":
            fault = (server.fault or {}).get("message", "no reason given")
            raise DemoFailed(f"{name} does not start: {fault}")
        return bool(server.status == "ACTIVE")

    def has_balloon() -> bool:
        action = {"balloon-driver-enabled": None}
        answer = cloud.compute.post(f"/servers/{uuid}/action", json=action)
        return bool(answer.ok and answer.json()["ballooning_enabled"])

    _wait(is_active, f"{name} is not active", timeout_s)
    _wait(has_balloon, f"the balloon driver of {name} does not answer", timeout_s)
    addresses = cloud.compute.get_server(uuid).addresses
    return Server(name, uuid, str(addresses[tenants.NETWORK][0]["addr"]))


def _wait(condition: Callable[[], bool], complaint: str, timeout_s: float) -> None:
    give_up = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > give_up:
            raise DemoFailed(f"{complaint} after {timeout_s:g} s")
        time.sleep(0.5)
