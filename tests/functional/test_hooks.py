# SPDX-License-Identifier: Apache-2.0
"""Post-create hooks: called once for a new server, and harmless whatever they do."""

import json
import threading
import time
from collections.abc import Callable, Iterator

import pytest
from oslo_config import cfg

from nova_qos.core.server import Flavor, NewServer
from nova_qos_hooks.ballooning import Ballooning
from tests.functional.caller import ADMIN
from tests.functional.cloud import HOOKS, Cloud, Server, eventually

Boot = Callable[..., Server]


@pytest.fixture(autouse=True)
def _no_hooks() -> Iterator[None]:
    yield
    HOOKS.clear()


def ballooning(ratio: float) -> Ballooning:
    options = cfg.ConfigOpts()
    options([])
    hook = Ballooning(options)
    options.set_override("ballooning_ram_ratio", ratio, "libvirt")
    return Ballooning(options) if ratio != 1 else hook


def starts(server: Server) -> None:
    server.machine.happened(server.uuid, "started")


def test_a_new_server_starts_with_its_part(boot: Boot) -> None:
    HOOKS["ballooning"] = ballooning(2)
    server = boot()
    starts(server)
    eventually(lambda: server.domain.actual_kib == 256 * 1024)
    assert server.saved() == {"memory": 256}
    server.restart()
    eventually(lambda: server.domain.actual_kib == 256 * 1024)


def test_a_hook_is_called_once_with_what_the_server_is(boot: Boot, cloud: Cloud) -> None:
    seen: list[NewServer] = []
    HOOKS["watching"] = lambda new: seen.append(new) or {}
    server = boot()
    for _ in range(3):
        starts(server)
        server.restart()
    eventually(lambda: "qos:created" in server.instance().system_metadata)
    server.restart()
    (new,) = seen
    assert (new.uuid, new.flavor) == (server.uuid, Flavor(512))
    assert new.project_id == ADMIN.project


def test_what_the_creator_has_set_stays(boot: Boot) -> None:
    server = boot()
    assert ADMIN.act(server, "set-current-memory", {"memory": 400}).status == 200
    HOOKS["ballooning"] = ballooning(2)
    HOOKS["cpu"] = lambda new: {"cpu_priority": 99}
    starts(server)
    eventually(lambda: server.domain.shares == 99)
    assert server.saved() == {"memory": 400, "cpu_priority": 99}


#: What nova does to a server that launches it again, each request with the status it leads to.
AGAIN = {
    "rebuild": [({"rebuild": {"imageRef": Cloud.IMAGE}}, "ACTIVE")],
    "rescue": [({"rescue": None}, "RESCUE")],
    "unrescue": [({"rescue": None}, "RESCUE"), ({"unrescue": None}, "ACTIVE")],
    "resize": [({"migrate": {"host": "second"}}, "VERIFY_RESIZE"),
               ({"revertResize": None}, "ACTIVE")],
    "unshelve": [({"shelve": None}, "SHELVED_OFFLOADED"),
                 ({"unshelve": {"host": "compute"}}, "ACTIVE")],
}


@pytest.mark.parametrize("requests", AGAIN.values(), ids=AGAIN.keys())
def test_a_server_that_is_launched_again_is_no_new_one(
    boot: Boot, cloud: Cloud, requests: list[tuple[dict[str, object], str]]
) -> None:
    cloud.flags(shelved_offload_time=0)
    server = boot()
    created = server.instance().launched_at
    for body, status in requests:
        # nova counts in whole seconds
        time.sleep(1)
        answer = ADMIN.using(microversion="2.91").send(server, json.dumps(body))
        assert answer.status in (200, 202), answer
        cloud.wait(server, status)
    assert server.instance().launched_at > created
    seen: list[NewServer] = []
    HOOKS["watching"] = lambda new: seen.append(new) or {"cpu_priority": 99}
    server.restart()
    eventually(lambda: "qos:created" in server.instance().system_metadata)
    assert (seen, server.saved(), server.domain.shares) == ([], {}, 1024)


def test_a_server_that_was_only_restarted_is_still_new(boot: Boot, cloud: Cloud) -> None:
    server = boot()
    assert ADMIN.act(server, "reboot", {"type": "HARD"}).status == 202
    cloud.wait(server, "ACTIVE")
    HOOKS["cpu"] = lambda new: {"cpu_priority": 99}
    server.restart()
    eventually(lambda: server.domain.shares == 99)


@pytest.mark.parametrize("answer", [
    {"memory": 10_000}, {"memory": "much"}, {"disk": 5}, {"memory": None, "x": 1}, None, 5])
def test_nonsense_is_passed_over(boot: Boot, answer: object) -> None:
    HOOKS["bad"] = lambda new: answer  # type: ignore[return-value,assignment]
    HOOKS["good"] = lambda new: {"cpu_priority": 99}
    server = boot()
    starts(server)
    eventually(lambda: server.domain.shares == 99)
    assert server.saved() == {"cpu_priority": 99}


def test_a_hook_that_raises_harms_nobody(boot: Boot) -> None:
    def fail(new: NewServer) -> dict[str, int]:
        raise RuntimeError("no")

    HOOKS["bad"] = fail
    HOOKS["good"] = lambda new: {"cpu_priority": 99}
    server = boot()
    starts(server)
    eventually(lambda: server.domain.shares == 99)


def test_a_hook_that_hangs_harms_nobody(boot: Boot, option: Callable[[str, object], None]) -> None:
    option("hook_timeout", 2.0)
    never = threading.Event()
    HOOKS["bad"] = lambda new: {"memory": never.wait()}
    HOOKS["good"] = lambda new: {"cpu_priority": 99}
    servers = [boot(), boot()]
    for server in servers:
        starts(server)
    eventually(lambda: all(server.domain.shares == 99 for server in servers))
    never.set()


def test_a_server_whose_memory_cannot_be_taken_keeps_it(boot: Boot) -> None:
    HOOKS["ballooning"] = ballooning(2)
    server = boot()
    server.domain.pinned = "its memory is in huge pages"
    starts(server)
    eventually(lambda: "qos:created" in server.instance().system_metadata)
    assert server.saved() == {}


def test_never_below_what_the_guest_uses(boot: Boot) -> None:
    HOOKS["ballooning"] = ballooning(8)
    server = boot()
    server.domain.used_kib = 300 * 1024
    starts(server)
    eventually(lambda: server.saved() == {"memory": 64})
    eventually(lambda: ADMIN.act(server, "get-qos").body["memory"]["state"] == "refused")
    assert server.domain.actual_kib == 512 * 1024


def test_a_ratio_of_one_is_off() -> None:
    new = NewServer("uuid", "name", "project", Flavor(512), {})
    assert ballooning(1)(new) == {}
    assert ballooning(1.5)(new) == {"memory": 341}


def test_a_ratio_below_one_is_refused_at_the_start(tmp_path: object) -> None:
    file = f"{tmp_path}/nova.conf"
    with open(file, "w") as written:
        written.write("[libvirt]\nballooning_ram_ratio = 0.5\n")
    options = cfg.ConfigOpts()
    options(["--config-file", file])
    with pytest.raises(cfg.ConfigFileValueError, match="ballooning_ram_ratio"):
        Ballooning(options)
