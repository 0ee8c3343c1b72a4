# SPDX-License-Identifier: Apache-2.0
"""Settings follow a server from host to host, and an absent host disturbs nobody."""

import time
from collections.abc import Callable, Mapping

import pytest

from nova_qos.resources import BALLOON
from tests.cloud.api import Person, wait_for
from tests.twonode.host import NodeHost

SETTINGS = {"memory": 200, "memory_soft_limit": 128, "cpu_priority": 2048, "io_priority": 700,
            "net_priority": 20}
#: The same as a host with cgroup v2 holds it.
GROUPS = {"cpu.weight": 200, "io.bfq.weight": 700, "memory.low": 128 * 2**20}
HELD = {**GROUPS, "memory": 200, "net": 20}
_MOVE_S, _DRIVER_S = 400, 120
Boot = Callable[[str, str], str]


def _set_all(admin: Person, server: str) -> None:
    wait_for(lambda: admin.act(server, BALLOON)[1].get("ballooning_enabled"), _DRIVER_S,
             "its balloon driver lives")
    wait_for(lambda: admin.act(server, "set-qos", SETTINGS)[0] == 200, _DRIVER_S, "all are set")


def _await_held(host: NodeHost, server: str, wanted: Mapping[str, object] = HELD) -> None:
    give_up = time.monotonic() + _DRIVER_S
    while (now := host.held(server)) != wanted and time.monotonic() < give_up:
        time.sleep(1)
    assert now == wanted


def _mac(admin: Person, server: str) -> str:
    found = admin.request("GET", f"/servers/{server}/os-interface").json()["interfaceAttachments"]
    return str(found[0]["mac_addr"])


def _host_of(admin: Person, server: str) -> str:
    return str(admin.show(server)["OS-EXT-SRV-ATTR:host"])


def _two(hosts: list[NodeHost]) -> tuple[NodeHost, NodeHost]:
    if len(hosts) < 2:
        pytest.skip("one virtual machine only: NOVA_QOS_TEST_SIZE is reduced")
    return hosts[0], hosts[1]


def _migrate_live(admin: Person, server: str, target: NodeHost) -> float:
    """How many seconds after its arrival the server's groups held everything."""
    arrival = target.expect(GROUPS, _MOVE_S)
    status, answer = admin.act(
        server, "os-migrateLive", {"host": target.name, "block_migration": "auto"})
    assert status == 202, answer
    wait_for(lambda: _host_of(admin, server) == target.name, _MOVE_S, "it has moved")
    admin.wait_for_status(server, "ACTIVE")
    return arrival.took_s()


def test_a_set_reaches_the_right_host(
    admin: Person, hosts: list[NodeHost], residents: dict[str, str]
) -> None:
    for host in hosts:
        server = residents[host.name]
        _set_all(admin, server)
        _await_held(host, server)
        rows = admin.act(server, "get-qos")[1]
        assert {row["state"] for row in rows.values()} == {"applied"}, rows
        assert "memory.low" in rows["memory_soft_limit"]["reason"]
        assert admin.act(server, "set-qos", dict.fromkeys(SETTINGS))[0] == 200
        _await_held(host, server, {
            "cpu.weight": 100, "io.bfq.weight": 100, "memory.low": 0, "memory": 256, "net": -1})


def test_live_migration_from_cgroup_v1_to_v2(
    admin: Person, hosts: list[NodeHost], boot: Boot
) -> None:
    server = boot("from-v1", _host_of_v1(admin))
    _set_all(admin, server)
    print(f"\n  from arrival to applied: {_migrate_live(admin, server, hosts[0])} s")
    _await_held(hosts[0], server)


def test_an_absent_agent_disturbs_its_own_host_only(
    admin: Person, hosts: list[NodeHost], residents: dict[str, str], boot: Boot
) -> None:
    away, there = residents[hosts[0].name], boot("there", _host_of_v1(admin))
    hosts[0].node.stop("nova-qos-agent")
    try:
        status, answer = admin.act(away, "set-cpu-priority", {"share": 512})
        assert status == 202, answer
        assert admin.act(there, "set-cpu-priority", {"share": 512}) == (200, {"share": 512})
    finally:
        hosts[0].node.start("nova-qos-agent")
    wait_for(lambda: hosts[0].held(away).get("cpu.weight") == 50, _DRIVER_S, "it is made up for")


def test_live_and_cold_migration(
    admin: Person, hosts: list[NodeHost], residents: dict[str, str]
) -> None:
    first, second = _two(hosts)
    server = residents[first.name]
    mac = _mac(admin, server)
    _set_all(admin, server)
    print(f"\n  from arrival to applied: {_migrate_live(admin, server, second)} s")
    _await_held(second, server)
    wait_for(lambda: not first.leftovers(server, mac), _DRIVER_S, "nothing is left there")

    status, answer = admin.act(server, "migrate", {"host": first.name})
    assert status == 202, answer
    admin.wait_for_status(server, "VERIFY_RESIZE", _MOVE_S)
    assert admin.act(server, "confirmResize")[0] == 204
    admin.wait_for_status(server, "ACTIVE")
    _await_held(first, server)
    wait_for(lambda: not second.leftovers(server, mac), _DRIVER_S, "nothing is left there")


def test_evacuation(
    admin: Person, hosts: list[NodeHost], residents: dict[str, str]
) -> None:
    """The last one: its host does not come back."""
    first, second = _two(hosts)
    server = residents[second.name]
    _set_all(admin, server)
    second.node.machine.stop()
    services = admin.request("GET", f"/os-services?host={second.name}").json()["services"]
    compute = next(each["id"] for each in services if each["binary"] == "nova-compute")
    forced = admin.request("PUT", f"/os-services/{compute}", json={"forced_down": True})
    assert forced.status_code == 200, forced.text
    # newer microversions leave the server stopped
    status, answer = admin.act(server, "evacuate", {"host": first.name}, version="2.90")
    assert status == 200 or status == 202, answer
    wait_for(lambda: _host_of(admin, server) == first.name, _MOVE_S, "it has moved")
    admin.wait_for_status(server, "ACTIVE", _MOVE_S)
    _await_held(first, server)


def _host_of_v1(admin: Person) -> str:
    """The machine that the cloud itself runs on."""
    services = admin.request("GET", "/os-services?binary=nova-scheduler").json()["services"]
    return str(services[0]["host"])
