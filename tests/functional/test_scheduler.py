# SPDX-License-Identifier: Apache-2.0
"""What nova's scheduler and placement do with guarantees and with allocation ratios."""

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import nova.conf
import pytest
from nova import context, objects
from nova.scheduler import host_manager

from nova_qos.client_hosts import HostState
from nova_qos.core import errors
from nova_qos.core.policy import Catalog, Policy
from nova_qos.scheduler import figures as known_figures
from nova_qos.scheduler import guarantees
from nova_qos.scheduler.figures import Figures, Known
from tests.fakehost import CAPACITY
from tests.functional.caller import ADMIN
from tests.functional.cloud import Cloud, Server, eventually
from tests.functional.values import FLAVOR_MIB

OURS = "nova_qos.scheduler.guarantees"
FLAVOR_OF_ALL = CAPACITY.memory_mib
GOLD = Policy(7, "gold", {"memory_guarantee": "75%"}, 1)


@pytest.fixture(autouse=True)
def quick(option: Callable[[str, object], None]) -> None:
    # of those that never answer
    option("rpc_timeout", 4)


@pytest.fixture
def manager(cloud: Cloud) -> Iterator[host_manager.HostManager]:
    """nova's own, which loads the filters and weighers that nova.conf names."""
    conf = nova.conf.CONF
    conf.set_override("available_filters", [f"{OURS}.GuaranteeFilter"], "filter_scheduler")
    conf.set_override("enabled_filters", ["GuaranteeFilter"], "filter_scheduler")
    conf.set_override("weight_classes", [f"{OURS}.GuaranteeWeigher"], "filter_scheduler")
    yield host_manager.HostManager()
    for name in ("available_filters", "enabled_filters", "weight_classes"):
        conf.clear_override(name, "filter_scheduler")


@pytest.fixture
def knows(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Sets what the scheduler knows: the real answer of the API, and the policy of the flavor."""
    def know(known: Known | None) -> None:
        def fetch() -> Known:
            if known is None:
                raise errors.Unreachable("nobody answers")
            return known

        figures = Figures(fetch, 3600)
        figures.known()
        eventually(lambda: not figures._is_asking)
        monkeypatch.setattr(guarantees, "figures", lambda: figures)

    return know


def asked_of_the_api() -> Mapping[str, HostState]:
    answer = ADMIN.request("GET", "/os-qos/hosts")
    found = {each["name"]: HostState.of(each) for each in answer.body["hosts"]}
    assert [found[name].agent for name in ("compute", "second", "silent")] == ["up", "up", "down"]
    return found


def request(memory_mib: int, policy: str | None = "gold") -> objects.RequestSpec:
    flavor = objects.Flavor(
        memory_mb=memory_mib, vcpus=1, root_gb=0, ephemeral_gb=0, swap=0, name="any",
        extra_specs={} if policy is None else {"qos:policy": policy})
    return objects.RequestSpec(
        flavor=flavor, project_id="any", instance_uuid="00000000-0000-0000-0000-000000000000",
        ignore_hosts=None, force_hosts=None, force_nodes=None, requested_destination=None,
        scheduler_hints={}, numa_topology=None)


def states(*names: str) -> list[Any]:
    cell = "00000000-0000-0000-0000-000000000000"
    return [host_manager.HostState(name, name, cell) for name in names]


def test_only_hosts_that_can_keep_the_guarantees_pass(
    cloud: Cloud, manager: host_manager.HostManager, knows: Callable[..., None],
    boot: Callable[..., Server],
) -> None:
    server = boot("second")
    assert ADMIN.act(server, "set-qos", {"memory_guarantee": 300}).status == 200
    cloud.agents["second"].manager.loop.check()
    knows(Known(asked_of_the_api(), Catalog(policies={7: GOLD})))
    # three quarters of this are all but what is guaranteed on "second"
    fitting = request(4 * (FLAVOR_OF_ALL - 300) // 3)
    too_much = request(4 * (FLAVOR_OF_ALL - 200) // 3)
    for spec, passing in ((fitting, ["compute", "second", "silent"]),
                          (too_much, ["compute", "silent"])):
        found = manager.get_filtered_hosts(states("compute", "second", "silent"), spec)
        assert sorted(each.host for each in found) == passing
    weighed = manager.get_weighed_hosts(states("second", "silent", "compute"), too_much)
    assert [each.obj.host for each in weighed] == ["compute", "silent", "second"]


@pytest.mark.parametrize("policy", [None, "unknown"])
def test_servers_without_guarantees_go_anywhere(
    cloud: Cloud, manager: host_manager.HostManager, knows: Callable[..., None],
    policy: str | None,
) -> None:
    knows(Known(asked_of_the_api(), Catalog(policies={7: GOLD})))
    found = manager.get_filtered_hosts(
        states("compute", "second"), request(2 * FLAVOR_OF_ALL, policy))
    assert len(list(found)) == 2


def test_nothing_known_stops_nothing(
    cloud: Cloud, manager: host_manager.HostManager, knows: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    spec = request(2 * FLAVOR_OF_ALL)
    knows(None)
    assert len(list(manager.get_filtered_hosts(states("compute", "second"), spec))) == 2
    monkeypatch.setattr(guarantees, "figures", lambda: 1 / 0)
    assert len(list(manager.get_filtered_hosts(states("compute", "second"), spec))) == 2
    assert len(manager.get_weighed_hosts(states("compute", "second"), spec)) == 2


def test_figures_come_in_the_background_and_grow_old() -> None:
    now_s, answers = [0.0], [Known({}, Catalog())]
    figures = Figures(lambda: answers[0], 30, lambda: now_s[0])
    assert figures.known() is None
    eventually(lambda: figures.known() is answers[0])
    first, answers[0] = answers[0], Known({"compute": HostState.of({"name": "compute"})}, Catalog())
    now_s[0] = 29
    assert figures.known() is first
    now_s[0] = 31
    assert figures.known() is first
    eventually(lambda: figures.known() is answers[0])

    def fail() -> Known:
        raise errors.Unreachable("nobody answers")

    figures._fetch = fail
    now_s[0] = 31 + 30 * known_figures._OLD - 1
    assert figures.known() is answers[0]
    now_s[0] += 2
    assert figures.known() is None


class Inventory:
    """The memory of a host in placement."""

    def __init__(self, cloud: Cloud, host: str) -> None:
        self._placement = cloud.placement
        node = objects.ComputeNode.get_first_node_by_host_for_old_compat(
            context.get_admin_context(), host)
        self._path = f"/resource_providers/{node.uuid}/inventories/MEMORY_MB"

    def ratio(self, ratio: float) -> None:
        """As ``openstack resource provider inventory set --amend`` does."""
        shown = self._placement.get(self._path, version="1.26").body
        body = {**shown, "allocation_ratio": ratio}
        answer = self._placement.put(self._path, body, version="1.26")
        assert answer.status == 200, answer.body

    @property
    def total(self) -> int:
        return int(self._placement.get(self._path, version="1.26").body["total"])

    @property
    def for_servers(self) -> int:
        """What nova does not reserve for the host."""
        shown = self._placement.get(self._path, version="1.26").body
        return int(shown["total"] - shown["reserved"])


def create(cloud: Cloud, host: str, memory_mib: int = FLAVOR_MIB) -> str:
    flavors = ADMIN.request("GET", "/flavors/detail").body["flavors"]
    named = f"m{memory_mib}"
    found = [each["id"] for each in flavors if each["ram"] == memory_mib]
    if not found:
        made = ADMIN.request("POST", "/flavors", json.dumps({"flavor": {
            "name": named, "ram": memory_mib, "vcpus": 1, "disk": 0}}))
        found = [made.body["flavor"]["id"]]
    body = cloud._build_server(
        flavor_id=found[0], networks="none", az=f"nova:{host}", image_uuid=cloud.IMAGE)
    answer = ADMIN.using(microversion="2.37").request(
        "POST", "/servers", json.dumps({"server": body}))
    assert answer.status == 202, answer
    return str(answer.body["server"]["id"])


def status(uuid: str) -> str:
    return str(ADMIN.request("GET", f"/servers/{uuid}").body["server"]["status"])


def ends_as(cloud: Cloud, host: str, wanted: str, memory_mib: int = FLAVOR_MIB) -> str:
    """Create a server there, and take it away again: what it became, and why."""
    uuid = create(cloud, host, memory_mib)
    try:
        eventually(lambda: status(uuid) != "BUILD")
        assert status(uuid) == wanted
        shown = ADMIN.request("GET", f"/servers/{uuid}").body["server"]
        return str(shown.get("fault", {}).get("message", ""))
    finally:
        ADMIN.request("DELETE", f"/servers/{uuid}")
        eventually(lambda: ADMIN.request("GET", f"/servers/{uuid}").status == 404)


def test_the_ratio_decides_what_placement_sells(cloud: Cloud) -> None:
    """Nothing else does: nova has no filter of its own for memory any more."""
    memory = Inventory(cloud, "silent")
    memory.ratio((FLAVOR_MIB - 1) / memory.for_servers)
    assert "No valid host" in ends_as(cloud, "silent", "ERROR")
    memory.ratio((FLAVOR_MIB + 0.5) / memory.for_servers)
    assert ends_as(cloud, "silent", "ACTIVE") == ""


def test_no_ratio_sells_one_server_more_than_the_host_has(cloud: Cloud) -> None:
    memory = Inventory(cloud, "silent")
    memory.ratio(50.0)
    assert "No valid host" in ends_as(cloud, "silent", "ERROR", memory.total + 1)
