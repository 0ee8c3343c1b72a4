# SPDX-License-Identifier: Apache-2.0
"""Who uses a policy, in all cells; what is in use is not deleted."""

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from nova import context, objects

from nova_qos.api.catalog import store
from tests.functional.caller import ADMIN
from tests.functional.cloud import Cloud, Server, eventually
from tests.functional.policies import assign, create, send, shown

pytestmark = pytest.mark.usefixtures("policies")


@pytest.fixture
def flavored(cloud: Cloud) -> Iterator[Callable[[str], Any]]:
    """Makes a flavor that names a policy."""
    made: list[Any] = []

    def make(name: str) -> Any:
        made.append(objects.Flavor(
            context.get_admin_context(), name=f"qos-{len(made)}", flavorid=f"qos-{len(made)}",
            memory_mb=512, vcpus=1, root_gb=0, ephemeral_gb=0, swap=0, rxtx_factor=1.0,
            is_public=False, extra_specs={"qos:policy": name}))
        made[-1].create()
        return made[-1]

    yield make
    for each in made:
        each.destroy()


def give(server: Server, policy: str | None) -> None:
    """Set a server to a policy by hand."""
    instance = server.instance()
    instance.system_metadata.pop("qos:policy", None)
    if policy is not None:
        instance.system_metadata["qos:policy"] = policy
    instance.save()


def embed(server: Server, name: str) -> None:
    """Have nova's copy of the server's flavor name a policy."""
    instance = server.instance()
    instance.flavor.extra_specs["qos:policy"] = name
    instance.save()


def use(policy: str) -> tuple[dict[str, Any], dict[str, Any]]:
    answer = send("GET", f"/{policy}?in_use=true")
    assert answer.status == 200, answer
    assert answer.body["in_use"] == send("GET", f"/{policy}").body["in_use"]
    return answer.body["in_use"], answer.body["used_by"]


def test_who_uses_it(
    boot: Callable[..., Server], flavored: Callable[[str], Any], server: Server
) -> None:
    gold, silver = create("Gold"), create("silver")
    assert use(gold)[0] == {"servers": 0, "flavors": 0, "projects": 0, "incomplete": False}
    mine, theirs, both = boot(), boot("second"), boot()
    give(mine, gold)
    embed(theirs, "GOLD")
    give(both, gold)
    embed(both, "gold")
    give(server, silver)
    flavored("gold")
    flavored("silver")
    send("PUT", f"/{gold}/projects/abc")
    counts, whom = use(gold)
    assert counts == {"servers": 3, "flavors": 1, "projects": 1, "incomplete": False}
    assert whom["servers"] == sorted(
        ({"id": each.uuid, "host": host} for each, host in (
            (mine, "compute"), (theirs, "second"), (both, "compute"))), key=lambda each: each["id"])
    assert (whom["flavors"], whom["projects"]) == (["qos-0"], ["abc"])
    assert use(silver)[0] == {"servers": 1, "flavors": 1, "projects": 0, "incomplete": False}


def test_a_server_that_is_deleted_uses_nothing(cloud: Cloud) -> None:
    gold, gone = create(), cloud.boot()
    give(gone, gold)
    embed(gone, "gold")
    assert use(gold)[0]["servers"] == 1
    cloud.delete(gone)
    assert use(gold)[0]["servers"] == 0
    assert send("DELETE", f"/{gold}").status == 204


def test_what_is_in_use_is_not_deleted(
    fresh: Server, server: Server, flavored: Callable[[str], Any]
) -> None:
    policy = create(is_default=True)
    give(server, policy)
    embed(fresh, "gold")
    flavor = flavored("gold")
    for number in range(7):
        send("PUT", f"/{policy}/projects/p{number}")
    answer = send("DELETE", f"/{policy}")
    assert answer.status == 409, answer
    for word in ("policy Gold is in use", "the default policy", server.uuid, fresh.uuid,
                 flavor.name, "p0, p1, p2, p3, p4 and 2 more"):
        assert word in answer.message
    send("PUT", f"/{policy}", {"policy": {"is_default": False}})
    for number in range(7):
        send("DELETE", f"/{policy}/projects/p{number}")
    embed(fresh, "other")
    assert send("DELETE", f"/{policy}").status == 409
    give(server, None)
    assert send("DELETE", f"/{policy}").status == 409
    flavor.extra_specs = {}
    flavor.save()
    assert send("DELETE", f"/{policy}").status == 204


def no_answer(_context: Any, mappings: Any, *_arguments: Any) -> dict[str, object]:
    return {each.uuid: context.did_not_respond_sentinel for each in mappings}


def test_while_a_cell_is_down(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    policy = create()
    give(server, policy)
    with monkeypatch.context() as down:
        # nova's own fixture knows nova's questions only
        down.setattr(context, "scatter_gather_cells", no_answer)
        assert use(policy)[0] == {"servers": 0, "flavors": 0, "projects": 0, "incomplete": True}
        answer = send("DELETE", f"/{policy}")
        assert (answer.status, "a cell does not answer" in answer.message) == (409, True), answer
        assert send("PUT", f"/{policy}", {"policy": {"description": "x"}}).status == 200
    give(server, None)
    assert send("DELETE", f"/{policy}").status == 204


def test_whoever_is_given_it_before_it_is_gone_keeps_it(server: Server) -> None:
    policy = create(settings={"io_priority": 700})
    send("PUT", f"/{policy}", {"policy": {"description": "x"}})
    before = shown(policy)
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(send, "DELETE", f"/{policy}")
        eventually(lambda: send("GET", f"/{policy}").status == 404)
        # as a set saves it that found the policy before
        give(server, policy)
    assert (answer.result().status, server.uuid in answer.result().message) == (409, True)
    assert shown(policy) == before
    give(server, None)
    assert send("DELETE", f"/{policy}").status == 204
    assert send("GET", f"/{policy}").status == 404


@pytest.mark.parametrize("many", [False, True])
def test_nobody_is_given_what_is_gone(server: Server, many: bool) -> None:
    policy = create(settings={"io_priority": 700})

    def delete(name: str, value: int) -> None:
        if value == 700:
            store().delete(int(policy), None)

    server.domain.before_write = delete
    if many:
        (answer,) = ADMIN.request("POST", "/os-qos", json.dumps({"changes": [
            {"server": server.uuid, "settings": {"policy": policy}}]})).body["results"]
        assert (answer["code"], "deleted just now" in answer["error"]["message"]) == (409, True)
    else:
        refused = assign(server, policy)
        assert (refused.status, "deleted just now" in refused.message) == (409, True)
    assert "qos:policy" not in server.instance().system_metadata
    eventually(lambda: server.domain.held()["io_priority"] == 100)


def test_nor_where_no_agent_answers(
    boot: Callable[..., Server], option: Callable[[str, object], None],
    as_it_asks: Callable[[Callable[[], object]], None],
) -> None:
    option("rpc_timeout", 2)
    halted, policy = boot("halted"), create()
    as_it_asks(lambda: store().delete(int(policy), None))
    assert assign(halted, policy).status == 409
    assert "qos:policy" not in halted.instance().system_metadata
