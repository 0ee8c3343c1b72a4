# SPDX-License-Identifier: Apache-2.0
"""A host that is short is relieved by Watcher: an audit with our strategy, its action plan, its own
action that migrates a real server."""

import json
import os
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.cloud.api import Person, wait_for
from tests.twonode.host import NodeHost
from tests.twonode.moves import DRIVER_S, MOVE_S, host_of, host_of_v1, reported
from tools.bed.stack import watcher
from tools.bed.stack.layout import Layout
from tools.bed.stack.shell import run
from tools.bed.stack.tenants import credentials

Optimise = Callable[..., Any]
Boot = Callable[[str, str], str]
_AUDIT_S = 180
#: Percent of one CPU.
_GUARANTEE = 100
#: With less, a host has no room for another guest.
_FULL_MIB = 128
_NAME = "nova_qos_relief"

pytestmark = [
    pytest.mark.timeout(3600),
    pytest.mark.skipif(os.environ.get("NOVA_QOS_TEST_SIZE") == "reduced",
                       reason="Watcher takes minutes: NOVA_QOS_TEST_SIZE is reduced")]


@pytest.fixture(scope="module")
def optimise() -> Iterator[Optimise]:
    """Runs ``openstack optimize``, as an operator does; Watcher goes with the tests."""
    layout = Layout.of_environment()

    def answered(*words: str) -> Any:
        return json.loads(run(
            layout.program("openstack", watcher.VENV), "optimize", *words, "-f", "json",
            env=credentials("admin")))

    print(run(layout.repository / "tools/demo.sh", "--watcher"))
    try:
        yield answered
    finally:
        watcher.down(layout)


def _audited(optimise: Optimise, **parameters: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """An audit after its end, and its action plan."""
    given = [word for name, value in parameters.items()
             for word in ("-p", f"{name}={json.dumps(value)}")]
    uuid = optimise("audit", "create", "-g", _NAME, "-s", _NAME, "-t", "ONESHOT", *given)["UUID"]
    wait_for(lambda: optimise("audit", "show", uuid)["State"] in ("SUCCEEDED", "FAILED"), _AUDIT_S,
             "the audit ends")
    audit = optimise("audit", "show", uuid)
    assert audit["State"] == "SUCCEEDED", audit["Status Message"]
    (plan,) = optimise("actionplan", "list", "--audit", uuid)
    return audit, optimise("actionplan", "show", plan["UUID"])


def _capacity_mib(admin: Person, host: str) -> int:
    """What a host has for servers; 0 while its agent starts, and does not tell of them yet."""
    found = reported(admin, host)
    return 0 if found.get("placed") is None else found["memory"]["capacity"] or 0


def _crowd(admin: Person, host: str, boot: Boot) -> list[str]:
    """Servers that are guaranteed a CPU each, one more than their host has: the last one arrives.
    """
    servers = [boot(f"crowd-{number}", host)
               for number in range(reported(admin, host)["cpus"] + 1)]
    status, answer = admin.act(servers[-1], "os-stop")
    assert status == 202, answer
    admin.wait_for_status(servers[-1], "SHUTOFF")
    for server in servers:
        status, answer = admin.act(server, "set-qos", {"cpu_guarantee": _GUARANTEE})
        assert status in (200, 202), answer
    admin.act(servers[-1], "os-start")
    admin.wait_for_status(servers[-1], "ACTIVE")
    wait_for(lambda: reported(admin, host)["state"] == "short", DRIVER_S, "it is short")
    return servers


def test_a_host_is_relieved(
    admin: Person, hosts: list[NodeHost], boot: Boot, optimise: Optimise
) -> None:
    here, target = host_of_v1(admin), hosts[0]
    servers = _crowd(admin, here, boot)
    with target.reserved():
        wait_for(lambda: 0 < _capacity_mib(admin, target.name) < _FULL_MIB, DRIVER_S,
                 "it has no memory for any of them")
        audit, plan = _audited(optimise, hosts=[here], to=[target.name])
    assert optimise("action", "list", "--action-plan", plan["UUID"]) == []
    assert audit["Status Message"] == (
        "No server that would help can move to another host. Short stay: "
        f"{here} of {_GUARANTEE} percent of one CPU.")
    wait_for(lambda: _capacity_mib(admin, target.name) > _FULL_MIB, DRIVER_S,
             "it has memory again")
    _audit, plan = _audited(optimise, hosts=[here], to=[target.name])
    (row,) = optimise("action", "list", "--action-plan", plan["UUID"])
    server = optimise("action", "show", row["UUID"])["Parameters"]["resource_id"]
    assert server in servers
    optimise("actionplan", "start", plan["UUID"])
    wait_for(lambda: optimise("actionplan", "show", plan["UUID"])["State"] in (
        "SUCCEEDED", "FAILED"), MOVE_S, "the action plan ends")
    assert optimise("action", "show", row["UUID"])["State"] == "SUCCEEDED"
    assert host_of(admin, server) == target.name
    wait_for(lambda: reported(admin, here)["state"] != "short", DRIVER_S, "it is relieved")
    assert reported(admin, target.name)["cpu"]["short"] == 0
    for each in servers:
        wait_for(lambda each=each: admin.act(each, "get-qos")[1]["cpu_guarantee"]["applied"]
                 == _GUARANTEE, DRIVER_S, "it is guaranteed what it was")
    # of Watcher's model, nobody would know yet that it has gone
    audit, plan = _audited(optimise, hosts=[here])
    assert (audit["Status Message"], plan["State"]) == ("No host is short.", "SUCCEEDED")
