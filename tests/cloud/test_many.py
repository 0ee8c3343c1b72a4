# SPDX-License-Identifier: Apache-2.0
"""Many real servers changed by one request, observed with virsh and in control groups."""

import json
import threading
import time

import pytest

from tests.cloud.api import Person, wait_for
from tests.cloud.host import Observer
from tests.cloud.sets import requested
from tests.cloud.test_documentation import run

#: An agent that has been started looks at all servers within this time, and finishes what another
#: one had begun.
_BACK_S = 60.0


def change(
    admin: Person, settings: dict[str, dict[str, object]], **more: object
) -> tuple[int, list[dict[str, object]]]:
    """The status, and the results; or the message where there are none."""
    answer = admin.request("POST", "/os-qos", json={"changes": [
        {"server": server, "settings": each} for server, each in settings.items()], **more})
    return answer.status_code, answer.json().get("results", [answer.text])


def shares(host: Observer, server: str) -> int:
    return host.cgroup(server, "cpu", "cpu.shares")


def memory_mib(host: Observer, server: str) -> int:
    return host.virsh_value("dommemstat", server, "actual") // 1024


def test_each_gets_its_own(
    admin: Person, host: Observer, clean: None, servers: dict[str, str]
) -> None:
    first, second, third = servers.values()
    status, results = change(admin, {
        first: {"cpu_priority": 300}, second: {"cpu_priority": 400, "memory": 300},
        third: {"cpu_priority": 1}})
    assert (status, [each["code"] for each in results]) == (207, [200, 200, 400])
    assert [shares(host, each) for each in servers.values()] == [300, 400, 1024]
    assert memory_mib(host, second) == 300


def test_together(
    admin: Person, host: Observer, clean: None, vm1: str, vm2: str
) -> None:
    assert change(admin, {vm1: {"memory": 300}, vm2: {"memory": 300}})[0] == 200
    status, results = change(admin, {vm2: {"memory": 340}, vm1: {"memory": 260}}, together=True)
    assert status == 200, results
    assert (memory_mib(host, vm1), memory_mib(host, vm2)) == (260, 340)
    # a guest cannot spare so much
    status, results = change(admin, {vm2: {"cpu_priority": 50}, vm1: {"memory": 10}},
                             together=True)
    assert status == 409, results
    assert vm1 in str(results)
    assert (shares(host, vm2), memory_mib(host, vm1)) == (1024, 260)


def test_together_although_the_agent_is_killed(
    admin: Person, host: Observer, clean: None, vm1: str, vm2: str
) -> None:
    """All or none, at any moment that it dies."""
    for delay_s in (0.0, 0.02, 0.05, 0.1):
        answers = []
        asking = threading.Thread(target=lambda answers=answers: answers.append(change(
            admin, {each: {"cpu_priority": 77} for each in (vm1, vm2)}, together=True)))
        asking.start()
        time.sleep(delay_s)
        host.kill_agent()
        host.start_agent()
        asking.join()
        wanted = {200: 77}.get(answers[0][0], 1024)
        wait_for(lambda wanted=wanted: {shares(host, vm1), shares(host, vm2)} == {wanted}, _BACK_S,
                 f"both have {wanted} shares")
        saved = {requested(admin, each)["cpu_priority"] for each in (vm1, vm2)}
        assert saved == {77 if wanted == 77 else None}
        change(admin, {each: {"cpu_priority": None} for each in (vm1, vm2)})
        wait_for(lambda: {shares(host, vm1), shares(host, vm2)} == {1024}, _BACK_S, "unset")


@pytest.mark.parametrize("words", [
    ("--cpu-priority", "2048"), ("--cpu-guarantee", "100"), ("--io-priority", "700"),
    ("--net-priority", "9"), ("--net-in-priority", "9")])
def test_what_a_dry_run_shows_comes_true(
    admin: Person, clean: None, servers: dict[str, str], words: tuple[str, ...]
) -> None:
    """Every server's part of the host afterwards."""
    change = ("server", "qos", "set", *words, servers["vm1"])
    rows = json.loads(run(admin, "openstack", *change, "--dry-run", "-f", "json"))
    assert not any(requested(admin, servers["vm1"]).values())
    run(admin, "openstack", *change)
    (name,) = {row["Host"] for row in rows}
    listed = json.loads(run(
        admin, "openstack", "server", "qos", "list", "--host", name, "-f", "json"))
    then = {row["Server"]: row for row in rows}
    assert then.keys() == {row["Name"] for row in listed}
    for row in listed:
        for column in ("CPU %", "Disk I/O %", "Network %", "Network In %"):
            assert then[row["Name"]][f"{column} Then"] == pytest.approx(row[column], abs=0.5), (
                row["Name"], column)
