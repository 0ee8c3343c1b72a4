# SPDX-License-Identifier: Apache-2.0
"""Named policies reach the servers of two cells; one whose database hangs does not stop the other.
"""

import json
from collections.abc import Callable

import pytest

from nova_qos.api import policy_use
from tests.cells.cloud import FAR, FarServer, TwoCells, hanging
from tests.functional.caller import ADMIN
from tests.functional.cloud import Server, eventually
from tests.functional.policies import assign, create, edit, held, send
from tests.pace import Stopwatch

pytestmark = pytest.mark.usefixtures("policies")
GOLD = {"io_priority": 700, "net_priority": 5}


def io_priorities(*servers: Server) -> list[int]:
    return [each.domain.held()["io_priority"] for each in servers]


def test_an_edit_reaches_servers_of_both_cells(near: Server, far: FarServer) -> None:
    gold = create("gold", settings=GOLD)
    for server in near, far:
        assert assign(server, "gold").status == 200
    assert io_priorities(near, far) == [700, 700]
    edit(gold, settings={"io_priority": 800})
    eventually(lambda: io_priorities(near, far) == [800, 800])
    for server in near, far:
        eventually(lambda server=server: (  # type: ignore[misc]
            server.domain.held()["net_priority"] == -1))
        row = held(server)["io_priority"]
        assert (row["source"], row["policy_revision"], row["state"]) == (
            "policy gold", 2, "applied")
    for server in near, far:
        assert assign(server, None).status == 200
    eventually(lambda: io_priorities(near, far) == [100, 100])


def test_of_both_cells_in_one_request(near: Server, far: FarServer) -> None:
    gold = create("gold", settings=GOLD)
    changes = [{"server": each.uuid, "settings": {"policy": "gold"}} for each in (near, far)]
    answer = ADMIN.request("POST", "/os-qos", json.dumps({"changes": changes}))
    assert [each["code"] for each in answer.body["results"]] == [200, 200]
    assert io_priorities(near, far) == [700, 700]
    used = send("GET", f"/{gold}?in_use=true").body
    assert (used["in_use"]["servers"], used["in_use"]["incomplete"]) == (2, False)
    assert {each["host"] for each in used["used_by"]["servers"]} == {"compute", FAR}


def test_a_default_policy_and_one_of_a_project(near: Server, far: FarServer) -> None:
    bronze = create("bronze", settings={"io_priority": 200}, is_default=True)
    eventually(lambda: io_priorities(near, far) == [200, 200])
    gold = create("gold", settings=GOLD)
    project = near.instance().project_id
    assert send("PUT", f"/{gold}/projects/{project}").status == 204
    eventually(lambda: io_priorities(near, far) == [700, 700])
    assert send("DELETE", f"/{gold}/projects/{project}").status == 204
    edit(bronze, is_default=False)
    eventually(lambda: io_priorities(near, far) == [100, 100])


def test_while_the_database_of_one_cell_hangs(
    near: Server, far: FarServer, option: Callable[[str, object], None],
    monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other cell gets an edit, and its servers are set; what concerns the one that hangs ends
    in time, says so, and is made up for."""
    monkeypatch.setattr(policy_use, "_SHOW_S", 1.0)
    option("rpc_timeout", 2)
    gold = create("gold", settings=GOLD)
    silver = create("silver", settings={"io_priority": 300})
    for server in near, far:
        assert assign(server, "gold").status == 200
    with Stopwatch() as watch, hanging(TwoCells.mapping):
        edit(gold, settings={"io_priority": 800, "cpu_priority": 2000})
        eventually(lambda: near.domain.held()["cpu_priority"] == 2000)
        assert held(near)["io_priority"]["state"] == "applied"
        assert send("GET", f"/{gold}").body["in_use"] == {
            "servers": 1, "flavors": 0, "projects": 0, "incomplete": True}
        refused = send("DELETE", f"/{silver}")
        assert (refused.status, "a cell does not answer" in refused.message) == (409, True)
        answer = ADMIN.request("POST", "/os-qos", json.dumps({"changes": [
            {"server": each.uuid, "settings": {"policy": "silver"}} for each in (near, far)]}))
        assert [each["code"] for each in answer.body["results"]] == [200, 503]
        assert "cell does not answer" in answer.body["results"][1]["error"]["message"]
        assert near.domain.held()["io_priority"] == 300
    assert watch.seconds < 30
    eventually(lambda: (far.domain.held()["io_priority"], far.domain.held()["cpu_priority"]) == (
        800, 2000))
    assert held(far)["io_priority"]["state"] == "applied"
