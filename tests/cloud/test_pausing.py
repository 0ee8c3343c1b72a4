# SPDX-License-Identifier: Apache-2.0
"""The last resort on a real host that is short, with no other host to move servers to: guests are
paused, the lowest memory priority first, and run again."""

from tests.cloud.api import Person
from tests.cloud.host import Observer
from tests.cloud.relieving import left, needs, relieve

_KEY = "nova_qos_paused"
#: More than one server is to be paused: so much is missing beyond what the first one needs.
_BEYOND_MIB = 40


def _states(host: Observer, servers: dict[str, str]) -> dict[str, str]:
    """As virsh shows them."""
    return {name: host.libvirt.virsh("domstate", server).strip()
            for name, server in servers.items()}


def test_the_lowest_priority_is_paused_first_and_runs_again(
    admin: Person, member: Person, host: Observer, servers: dict[str, str], clean: None
) -> None:
    name = str(admin.show(servers["vm1"])["OS-EXT-SRV-ATTR:host"])
    for server, priority in ("vm3", 10), ("vm2", 20):
        assert admin.act(servers[server], "set-qos", {"memory_priority": priority})[0] == 200
    found = needs(admin, name, servers.values())
    try:
        with left(admin, name, sum(found.values()) - found[servers["vm3"]] - _BEYOND_MIB):
            done = relieve(admin, name, "--pause")
            assert [(each["Server"], each["Result"], each["Details"]) for each in done.rows] == [
                ("vm3", "paused", "memory priority 10"), ("vm2", "paused", "memory priority 20")]
            # a paused guest keeps its memory
            assert f"{name} is still short of" in done.said
            assert done.status == 1
            for server in "vm3", "vm2":
                admin.wait_for_status(servers[server], "PAUSED")
                assert member.show(servers[server])["metadata"] == {_KEY: name}
            assert _states(host, servers) == {"vm1": "running", "vm2": "paused", "vm3": "paused"}
            assert admin.show(servers["vm1"])["metadata"] == {}
            # what is paused counts, so that no more are
            assert relieve(admin, name, "--pause").rows == []
    finally:
        undone = relieve(admin, name, "--undo")
    assert {each["Server"]: each["Result"] for each in undone.rows} == {
        "vm2": "runs again", "vm3": "runs again"}
    assert undone.status == 0
    for server in servers.values():
        admin.wait_for_status(server, "ACTIVE")
        assert member.show(server)["metadata"] == {}
        assert host.guest_available_kib(server) > 0
    assert set(_states(host, servers).values()) == {"running"}
