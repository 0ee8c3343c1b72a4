# SPDX-License-Identifier: Apache-2.0
"""``[nova_qos] cpu_share_per_vcpu``: servers that nobody touched get CPU shares by their vCPUs."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.cloud.api import Person, wait_for
from tests.cloud.host import Observer
from tests.cloud.values import CHECKED_S

PER_VCPU, NOVAS_OWN = 600, 1024


@pytest.fixture
def wide(admin: Person) -> Iterator[str]:
    """The name of a flavor with two vCPUs."""
    answer = admin.request("POST", "/flavors", json={
        "flavor": {"name": "wide", "ram": 256, "vcpus": 2, "disk": 0}})
    assert answer.status_code == 200, answer.text
    yield "wide"
    admin.request("DELETE", f"/flavors/{answer.json()['flavor']['id']}")


@pytest.fixture
def fair(host: Observer, tmp_path: Path) -> Iterator[Callable[[], None]]:
    """Starts the agent with the option; it is put back after the test."""
    options = tmp_path / "fair.conf"
    options.write_text(f"[nova_qos]\ncpu_share_per_vcpu = {PER_VCPU}\n")
    yield lambda: host.restart_agent(options)
    host.restart_agent()


@pytest.mark.usefixtures("clean")
def test_servers_share_by_their_vcpus(
    admin: Person, host: Observer, vm2: str, wide: str, fair: Callable[[], None],
    boot: Callable[[str, str], str],
) -> None:
    two = boot("two", wide)

    def await_shares(**wanted: int) -> None:
        servers = {"one": vm2, "two": two}
        wait_for(lambda: {name: host.cgroup(servers[name], "cpu", "cpu.shares") for name in wanted}
                 == wanted, CHECKED_S, f"the shares are {wanted}")

    await_shares(one=NOVAS_OWN, two=NOVAS_OWN)
    fair()
    await_shares(one=PER_VCPU, two=2 * PER_VCPU)
    cpu = admin.act(two, "get-qos")[1]["cpu_priority"]
    assert (cpu["state"], cpu["requested"], cpu["applied"]) == ("unset", None, 2 * PER_VCPU)
    assert admin.act(two, "set-cpu-priority", {"share": 77}) == (200, {"share": 77})
    await_shares(one=PER_VCPU, two=77)
    assert admin.act(two, "set-qos", {"cpu_priority": None})[0] == 200
    await_shares(two=2 * PER_VCPU)
    assert admin.act(two, "reboot", {"type": "HARD"})[0] == 202
    admin.wait_for_status(two, "ACTIVE")
    await_shares(two=2 * PER_VCPU)
    host.restart_agent()
    await_shares(one=NOVAS_OWN, two=NOVAS_OWN)
