# SPDX-License-Identifier: Apache-2.0
"""What every action answers when all is well, however it is addressed."""

import json

import pytest
from nova import context

from nova_qos.bus import wire
from nova_qos.instances import service as agent_row
from nova_qos.resources import TABLE
from tests.functional.caller import ADMIN, Caller
from tests.functional.cloud import Server
from tests.functional.values import SETTINGS, UNSET

PROJECT = ADMIN.project
WAYS = {
    "v2.1": ADMIN,
    "v2.1 project": ADMIN.using(prefix=f"/v2.1/{PROJECT}"),
    "v2": ADMIN.using(prefix="/v2"),
    "v2 project": ADMIN.using(prefix=f"/v2/{PROJECT}"),
    "2.1": ADMIN.using(microversion="2.1"),
    "2.96": ADMIN.using(microversion="2.96"),
    "latest": ADMIN.using(microversion="latest"),
}
every_way = pytest.mark.parametrize("caller", WAYS.values(), ids=WAYS.keys())

UNTOUCHED = {
    "memory": {
        "requested": None, "applied": 512, "unit": "MiB", "range": [1, 512], "default": 512,
        "state": "unset", "effective": True, "reason": None, "applied_source": None},
    "memory_soft_limit": {
        "requested": None, "applied": -1, "unit": "MiB", "range": [1, 2**40], "default": -1,
        "state": "unset", "effective": True, "reason": None, "applied_source": None},
    "cpu_priority": {
        "requested": None, "applied": 1024, "unit": "shares", "range": [2, 262144],
        "default": 1024, "state": "unset", "effective": True, "reason": None,
        "applied_source": None},
    "io_priority": {
        "requested": None, "applied": 100, "unit": "weight", "range": [100, 1000], "default": 100,
        "state": "unset", "effective": True, "reason": None, "applied_source": None},
    "net_priority": {
        "requested": None, "applied": -1, "unit": "prio", "range": [0, 98], "default": -1,
        "state": "unset", "effective": True, "reason": None, "applied_source": None},
    "memory_guarantee": {
        "requested": None, "applied": -1, "unit": "MiB", "range": [1, 512], "default": -1,
        "state": "unset", "effective": True, "reason": None, "applied_source": None},
    "memory_priority": {
        "requested": None, "applied": 100, "unit": "weight", "range": [1, 1000], "default": 100,
        "state": "unset", "effective": False,
        "reason": "only the balancing of memory uses it, which this host does not do",
        "applied_source": None},
    "cpu_limit": {
        "requested": None, "applied": -1, "unit": "percent of one CPU", "range": [10, 100],
        "default": -1, "state": "unset", "effective": True, "reason": None, "applied_source": None},
    "cpu_guarantee": {
        "requested": None, "applied": -1, "unit": "percent of one CPU", "range": [1, 100],
        "default": -1, "state": "unset", "effective": True, "reason": None, "applied_source": None},
    "io_limit": {
        "requested": None, "applied": -1, "unit": "IOPS", "range": [10, 1000000],
        "default": -1, "state": "unset", "effective": True, "reason": None, "applied_source": None},
    "io_rate_limit": {
        "requested": None, "applied": -1, "unit": "KiB/s", "range": [1024, 2**30],
        "default": -1, "state": "unset", "effective": True, "reason": None, "applied_source": None},
    "net_limit": {
        "requested": None, "applied": -1, "unit": "kbit/s", "range": [100, 100_000_000],
        "default": -1, "state": "unset", "effective": True, "reason": None, "applied_source": None},
    "net_guarantee": {
        "requested": None, "applied": -1, "unit": "kbit/s", "range": [100, 100_000_000],
        "default": -1, "state": "unset", "effective": True, "reason": None, "applied_source": None},
    "net_in_priority": {
        "requested": None, "applied": -1, "unit": "prio", "range": [0, 98],
        "default": -1, "state": "unset", "effective": True, "reason": None, "applied_source": None},
    "net_in_limit": {
        "requested": None, "applied": -1, "unit": "kbit/s", "range": [100, 100_000_000],
        "default": -1, "state": "unset", "effective": True, "reason": None, "applied_source": None},
    "net_in_guarantee": {
        "requested": None, "applied": -1, "unit": "kbit/s", "range": [100, 100_000_000],
        "default": -1, "state": "unset", "effective": True, "reason": None, "applied_source": None},
}


def timeless(report: dict[str, dict[str, object]]) -> dict[str, dict[str, object]]:
    """get-qos without the times; each is there and in UTC."""
    for shown in report.values():
        assert str(shown["since"]).endswith("+00:00")
        assert shown["source"] == ("none" if shown["requested"] is None else "server")
        assert shown["policy_revision"] is None
    return {name: {key: value for key, value in shown.items()
                   if key not in ("since", "source", "policy_revision")}
            for name, shown in report.items()}


def applied(name: str, value: int) -> dict[str, object]:
    return {**UNTOUCHED[name], "requested": value, "applied": value, "state": "applied"}


@every_way
def test_the_actions_of_each_resource(server: Server, caller: Caller) -> None:
    domain = server.domain

    def answer(action: str, value: object = None) -> object:
        got = caller.act(server, action, value)
        assert got.status == 200, got
        return got.body

    assert answer("get-memory-soft-limit") == {"soft_limit": -1}
    assert answer("set-memory-soft-limit", {"memory_limit": 256}) == {"success": 1}
    assert answer("get-memory-soft-limit") == {"soft_limit": 256 * 1024}
    assert domain.soft_limit_kib == 256 * 1024

    assert answer("set-current-memory", {"memory": 384}) == {"success": 1}
    memory = answer("get-current-memory")
    assert isinstance(memory, dict)
    assert memory["actual"] == 384 * 1024 == domain.actual_kib
    assert memory["usable"] == (384 - 64) * 1024

    assert answer("get-cpu-priority") == {"share": 1024}
    assert answer("set-cpu-priority", {"share": 2048}) == {"share": 2048}
    assert answer("get-cpu-priority") == {"share": 2048}
    assert domain.shares == 2048

    assert answer("get-io-priority") == {"weight": 100}
    assert answer("set-io-priority", {"weight": 500}) == {"weight": 500}
    assert answer("get-io-priority") == {"weight": 500}
    assert domain.weight == 500

    assert answer("get-net-priority") == {"prio": -1}
    assert answer("set-net-priority", {"prio": "3"}) == {"success": True}
    assert answer("get-net-priority") == {"prio": 3}
    assert domain.net["net_priority"] == 3

    assert answer("get-memory-guarantee") == {"memory_guarantee": -1}
    assert answer("set-memory-guarantee", {"memory_guarantee": 100}) == {"memory_guarantee": 100}
    assert answer("get-memory-guarantee") == {"memory_guarantee": 100}

    assert answer("get-memory-priority") == {"weight": 100}
    assert answer("set-memory-priority", {"weight": 300}) == {"weight": 300}
    assert answer("get-memory-priority") == {"weight": 300}

    assert answer("get-cpu-limit") == {"percent": -1}
    assert answer("set-cpu-limit", {"percent": "70"}) == {"percent": 70}
    assert answer("get-cpu-limit") == {"percent": 70}
    assert domain.cpu_limit == 70

    assert answer("get-cpu-guarantee") == {"percent": -1}
    assert answer("set-cpu-guarantee", {"percent": 30}) == {"percent": 30}
    assert answer("get-cpu-guarantee") == {"percent": 30}

    assert answer("get-io-limit") == {"iops": -1}
    assert answer("set-io-limit", {"iops": 200}) == {"iops": 200}
    assert answer("get-io-limit") == {"iops": 200}

    assert answer("get-io-rate-limit") == {"rate_kib": -1}
    assert answer("set-io-rate-limit", {"rate_kib": "8192"}) == {"rate_kib": 8192}
    assert answer("get-io-rate-limit") == {"rate_kib": 8192}
    assert (domain.io_limit, domain.io_rate_limit) == (200, 2**13)

    assert answer("get-net-limit") == {"kbit": -1}
    assert answer("set-net-limit", {"kbit": 20000}) == {"kbit": 20000}
    assert answer("get-net-limit") == {"kbit": 20000}
    assert domain.net["net_limit"] == 20000

    assert answer("get-net-guarantee") == {"kbit": -1}
    assert answer("set-net-guarantee", {"kbit": "8000"}) == {"kbit": 8000}
    assert answer("get-net-guarantee") == {"kbit": 8000}
    assert domain.net["net_guarantee"] == 8000

    assert answer("get-net-in-priority") == {"prio": -1}
    assert answer("set-net-in-priority", {"prio": 4}) == {"success": True}
    assert answer("get-net-in-priority") == {"prio": 4}

    assert answer("get-net-in-limit") == {"kbit": -1}
    assert answer("set-net-in-limit", {"kbit": 30000}) == {"kbit": 30000}
    assert answer("get-net-in-limit") == {"kbit": 30000}

    assert answer("get-net-in-guarantee") == {"kbit": -1}
    assert answer("set-net-in-guarantee", {"kbit": "9000"}) == {"kbit": 9000}
    assert answer("get-net-in-guarantee") == {"kbit": 9000}
    assert domain.net == {
        "net_priority": 3, "net_limit": 20000, "net_guarantee": 8000,
        "net_in_priority": 4, "net_in_limit": 30000, "net_in_guarantee": 9000}

    assert answer("balloon-driver-enabled") == {"ballooning_enabled": True}
    assert server.saved() == {
        "memory": 384, "memory_soft_limit": 256, "cpu_priority": 2048, "io_priority": 500,
        "net_priority": 3, "memory_guarantee": 100, "memory_priority": 300, "cpu_limit": 70,
        "cpu_guarantee": 30, "io_limit": 200, "io_rate_limit": 8192,
        "net_limit": 20000, "net_guarantee": 8000,
        "net_in_priority": 4, "net_in_limit": 30000, "net_in_guarantee": 9000}


@every_way
def test_all_at_once(server: Server, caller: Caller) -> None:
    assert timeless(caller.act(server, "get-qos").body) == UNTOUCHED
    answer = caller.act(server, "set-qos", {"cpu_priority": 2048, "memory": "400"})
    assert answer.status == 200
    expected = UNTOUCHED | {
        "cpu_priority": applied("cpu_priority", 2048), "memory": applied("memory", 400)}
    assert timeless(answer.body) == expected
    assert timeless(caller.act(server, "get-qos", {}).body) == expected
    assert (server.domain.shares, server.domain.actual_kib) == (2048, 400 * 1024)


@pytest.mark.parametrize("action", [
    *(row.names.get_action for row in TABLE.values()), "get-qos", "balloon-driver-enabled"])
def test_a_get_takes_null_or_an_empty_object(server: Server, action: str) -> None:
    assert ADMIN.act(server, action, None).status == 200
    assert ADMIN.act(server, action, {}).status == 200
    assert server.saved() == {}


@pytest.mark.parametrize("value", ["256", 256, 256.0, "0256"])
def test_numbers_may_arrive_as_decimal_strings(server: Server, value: object) -> None:
    assert ADMIN.act(server, "set-cpu-priority", {"share": value}).body == {"share": 256}
    assert server.saved() == {"cpu_priority": 256}


def test_a_guest_without_balloon_driver(server: Server) -> None:
    server.domain.driver = False
    answer = ADMIN.act(server, "balloon-driver-enabled")
    assert (answer.status, answer.body) == (200, {"ballooning_enabled": False})


@pytest.mark.parametrize(("action", "value"), [
    ("set-qos", {"memory_soft_limit": None}), ("set-qos", {"memory_soft_limit": -1}),
    ("set-memory-soft-limit", {"memory_limit": -1}),
    ("set-memory-soft-limit", {"memory_limit": "-1"}),
])
def test_lifting_the_soft_limit_forgets_it(
    server: Server, action: str, value: dict[str, object]
) -> None:
    ADMIN.act(server, "set-qos", {"memory_soft_limit": 256, "cpu_priority": 300})
    assert ADMIN.act(server, action, value).status == 200
    assert server.domain.soft_limit_kib == -1
    assert server.saved() == {"cpu_priority": 300}


@pytest.mark.parametrize("value", [-1, "-1"])
def test_minus_one_removes_a_network_priority(server: Server, value: object) -> None:
    ADMIN.act(server, "set-qos", {"net_priority": 0, "cpu_priority": 300})
    answer = ADMIN.act(server, "set-net-priority", {"prio": value})
    assert (answer.status, answer.body) == (200, {"success": True})
    assert ADMIN.act(server, "get-net-priority").body == {"prio": -1}
    assert server.domain.net["net_priority"] == -1
    assert server.saved() == {"cpu_priority": 300}


def test_unsetting_puts_the_host_back_to_the_default(server: Server) -> None:
    unrelated = server.unrelated()
    every = SETTINGS | {"net_priority": 0}
    assert ADMIN.act(server, "set-qos", every).status == 200
    assert server.saved() == every
    assert server.unrelated() == unrelated
    answer = ADMIN.act(server, "set-qos", dict.fromkeys(every))
    assert (answer.status, timeless(answer.body)) == (200, UNTOUCHED)
    assert server.saved() == {}
    assert server.unrelated() == unrelated
    domain = server.domain
    assert (domain.actual_kib, domain.soft_limit_kib, domain.shares, domain.weight) == (
        512 * 1024, -1, 1024, 100)
    assert server.held() == UNSET


def test_settings_stand_in_novas_own_table(server: Server) -> None:
    ADMIN.act(server, "set-cpu-priority", {"share": 4096})
    assert server.instance().system_metadata["qos:cpu"] == "4096"


def test_nova_itself_still_answers(server: Server) -> None:
    assert ADMIN.send(server, '{"lock": null}').status == 202
    assert ADMIN.send(server, '{"unlock": null}').status == 202
    shown = ADMIN.request("GET", f"/servers/{server.uuid}")
    assert shown.status == 200
    assert "qos:" not in json.dumps(shown.body)


def test_the_agent_is_a_service_of_novas(server: Server) -> None:
    answer = ADMIN.request("GET", "/os-services?binary=nova-qos-agent")
    shown = {s["host"]: (s["state"], s["status"]) for s in answer.body["services"]}
    assert shown["compute"] == ("up", "enabled")
    assert set(shown) == {"compute", "halted", "second"}


def test_an_administrator_takes_an_agent_out_of_the_list(server: Server) -> None:
    agent_row.register(context.get_admin_context(), "gone", wire.TOPIC, wire.TOPIC)
    recent = ADMIN.using(microversion="2.53")
    listed = "/os-services?binary=nova-qos-agent&host=gone"
    (service,) = recent.request("GET", listed).body["services"]
    assert recent.request("DELETE", f"/os-services/{service['id']}").status == 204
    assert recent.request("GET", listed).body["services"] == []
