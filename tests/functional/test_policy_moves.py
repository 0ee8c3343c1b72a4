# SPDX-License-Identifier: Apache-2.0
"""Servers that are created, resized, rebuilt and migrated get what their assignments say then."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from nova import context, objects

from tests.functional.caller import ADMIN
from tests.functional.cloud import Cloud, Server, eventually
from tests.functional.policies import assign, create, edit, held
from tests.functional.test_moves import CARRIED, RECENT
from tests.functional.values import FLAVOR_MIB

pytestmark = pytest.mark.usefixtures("policies")
GOLD = {"memory": "75%", "cpu_priority": "512/vcpu", "io_priority": 700}
UNSET = (FLAVOR_MIB, 1024, 100)


@pytest.fixture
def gold() -> str:
    return create("gold", settings=GOLD)


@pytest.fixture
def flavor() -> Iterator[Any]:
    """Twice as large as others, and its servers are gold."""
    made = objects.Flavor(
        context.get_admin_context(), name="m1.gold", flavorid="gold", memory_mb=2 * FLAVOR_MIB,
        vcpus=2, root_gb=1, ephemeral_gb=0, swap=0, rxtx_factor=1.0, is_public=True,
        extra_specs={"qos:policy": "Gold"})
    made.create()
    yield made
    made.destroy()


@pytest.fixture
def two_hosts(cloud: Cloud) -> Iterator[None]:
    """nova places servers where there are agents alone."""
    def tell(verb: str) -> None:
        for host in ("silent", "halted"):
            answer = ADMIN.request("PUT", f"/os-services/{verb}", json.dumps(
                {"host": host, "binary": "nova-compute"}))
            assert answer.status == 200, answer

    tell("disable")
    yield
    tell("enable")


def by_policy(server: Server) -> tuple[int, int, int]:
    now = server.domain.held()
    return now["memory"], now["cpu_priority"], now["io_priority"]


def arrived(server: Server, host: str, memory_mib: int) -> None:
    """Its domain starts on this host, with the memory of its flavor and nothing else."""
    server.arrive(host)
    server.machine.add(server.uuid, memory_mib * 1024)
    server.machine.happened(server.uuid, "started")


def is_gold(server: Server, values: tuple[int, int, int]) -> None:
    eventually(lambda: by_policy(server) == values)
    rows = held(server)
    assert {name: (rows[name]["source"], rows[name]["state"]) for name in GOLD} == dict.fromkeys(
        GOLD, ("policy gold", "applied"))


def do(server: Server, action: str, value: Any = None) -> None:
    answer = RECENT.send(server, json.dumps({action: value}))
    assert answer.status in (200, 202, 204), answer


def test_created_with_a_flavor_that_names_a_policy(
    cloud: Cloud, boot: Callable[..., Server], gold: str, flavor: Any
) -> None:
    body = cloud._build_server(
        flavor_id=flavor.flavorid, networks="none", az="nova:compute", image_uuid=cloud.IMAGE)
    answer = ADMIN.using(microversion="2.37").request(
        "POST", "/servers", json.dumps({"server": body}))
    assert answer.status == 202, answer
    server = Server(answer.body["server"]["id"], "compute")
    try:
        cloud.wait(server, "ACTIVE")
        server.machine.add(server.uuid, 2 * FLAVOR_MIB * 1024)
        server.machine.happened(server.uuid, "started")
        is_gold(server, (FLAVOR_MIB * 3 // 2, 1024, 700))
    finally:
        cloud.delete(server)


@pytest.mark.parametrize("end", ["confirmResize", "revertResize"])
def test_resized_to_a_flavor_that_names_a_policy(
    cloud: Cloud, fresh: Server, gold: str, flavor: Any, two_hosts: None, end: str
) -> None:
    """The policy comes with the flavor, its relative values are of the new one; and back."""
    do(fresh, "resize", {"flavorRef": flavor.flavorid})
    cloud.wait(fresh, "VERIFY_RESIZE")
    assert fresh.instance().host == "second"
    arrived(fresh, "second", 2 * FLAVOR_MIB)
    is_gold(fresh, (FLAVOR_MIB * 3 // 2, 1024, 700))
    do(fresh, end)
    cloud.wait(fresh, "ACTIVE")
    if end == "confirmResize":
        edit(gold, settings={**GOLD, "io_priority": 800})
        is_gold(fresh, (FLAVOR_MIB * 3 // 2, 1024, 800))
        return
    arrived(fresh, "compute", FLAVOR_MIB)
    eventually(lambda: by_policy(fresh) == UNSET)
    assert held(fresh)["memory"]["source"] == "none"


def test_resized_with_a_policy_of_its_own(
    cloud: Cloud, fresh: Server, gold: str, two_hosts: None, flavor: Any
) -> None:
    assert assign(fresh, "gold").status == 200
    is_gold(fresh, (FLAVOR_MIB * 3 // 4, 512, 700))
    do(fresh, "resize", {"flavorRef": flavor.flavorid})
    cloud.wait(fresh, "VERIFY_RESIZE")
    arrived(fresh, "second", 2 * FLAVOR_MIB)
    is_gold(fresh, (FLAVOR_MIB * 3 // 2, 1024, 700))
    do(fresh, "confirmResize")
    cloud.wait(fresh, "ACTIVE")


def test_rebuilt(cloud: Cloud, fresh: Server, gold: str) -> None:
    assert assign(fresh, "gold").status == 200
    do(fresh, "rebuild", {"imageRef": Cloud.IMAGE})
    cloud.wait(fresh, "ACTIVE")
    fresh.restart()
    is_gold(fresh, (FLAVOR_MIB * 3 // 4, 512, 700))


@pytest.mark.parametrize("of", ["server", "default"])
def test_live_migrated(cloud: Cloud, fresh: Server, gold: str, of: str) -> None:
    if of == "server":
        assert assign(fresh, "gold").status == 200
    else:
        edit(gold, is_default=True)
    eventually(lambda: by_policy(fresh) == (FLAVOR_MIB * 3 // 4, 512, 700))
    do(fresh, "os-migrateLive", {"host": "second", "block_migration": "auto"})
    fresh.arrive("second", CARRIED)
    eventually(lambda: fresh.instance().host == "second")
    cloud.wait(fresh, "ACTIVE")
    eventually(lambda: by_policy(fresh) == (FLAVOR_MIB * 3 // 4, 512, 700))
    # it is the host's now that gets an edit
    edit(gold, settings={"io_priority": 900}, is_default=of == "default")
    eventually(lambda: by_policy(fresh) == (FLAVOR_MIB, 1024, 900))
    edit(gold, is_default=False)
