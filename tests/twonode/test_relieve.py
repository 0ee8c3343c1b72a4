# SPDX-License-Identifier: Apache-2.0
"""A host that is short is relieved by nova's live migration of a real server."""

import json
from collections.abc import Iterator

import pytest

from tests.cloud.api import Person, wait_for
from tests.twonode.host import NodeHost
from tests.twonode.moves import DRIVER_S, MOVE_S, Resident, host_of, stay
from tools.bed.stack.layout import Layout
from tools.bed.stack.shell import run
from tools.bed.stack.tenants import credentials

#: What is left for servers on the node: no guest of this tier fits.
_LEFT_MIB = 64
_AGENT = "nova-qos-agent"

pytestmark = pytest.mark.timeout(3600)


def _report(admin: Person, host: str) -> dict[str, object]:
    answer = admin.request("GET", f"/os-qos/hosts?host={host}")
    assert answer.status_code == 200, answer.text
    (found,) = answer.json()["hosts"]
    return dict(found)


@pytest.fixture
def short(
    admin: Person, hosts: list[NodeHost], residents: dict[str, Resident]
) -> Iterator[NodeHost]:
    """The first node, whose agent is told that nova keeps nearly all memory to itself; its server
    has a guarantee."""
    if len(hosts) == 1:
        pytest.skip("one virtual machine only: NOVA_QOS_TEST_SIZE is reduced")
    stay(admin, residents[hosts[0].name].server, hosts[0])
    node = hosts[0].node
    file = str(Layout.of_environment().etc("nova-compute") / "nova.conf")
    before = node.machine.run("cat", file)
    total = int(node.machine.run("awk", "/MemTotal/ {print int($2 / 1024)}", "/proc/meminfo"))
    kept = f"[DEFAULT]\nreserved_host_memory_mb = {total - _LEFT_MIB}\n"
    node.machine.write(file, before.replace("[DEFAULT]\n", kept, 1))
    node.stop(_AGENT)
    node.start(_AGENT)
    try:
        wait_for(lambda: _report(admin, node.name)["state"] == "short", DRIVER_S, "it is short")
        yield hosts[0]
    finally:
        node.machine.write(file, before)
        node.stop(_AGENT)
        node.start(_AGENT)


def test_a_host_is_relieved(
    admin: Person, short: NodeHost, residents: dict[str, Resident]
) -> None:
    server = residents[short.name].server
    # all memory but that of one guest is guaranteed, so the plan has one move
    answer = run(
        Layout.of_environment().program("openstack"), "server", "qos", "relieve", short.name,
        "--timeout", str(MOVE_S), "-f", "json", env=credentials("admin"))
    (row,) = json.loads(answer)
    assert (row["From"], row["Result"]) == (short.name, "moved")
    assert host_of(admin, server) == row["To"] != short.name
    records = admin.request("GET", f"/os-migrations?instance_uuid={server}").json()["migrations"]
    assert "completed" in {each["status"] for each in records}
    wait_for(lambda: _report(admin, short.name)["state"] != "short", DRIVER_S, "it is relieved")
