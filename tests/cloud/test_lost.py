# SPDX-License-Identifier: Apache-2.0
"""What was answered 200 or 202 is saved and in force, whoever else saves the server meanwhile.

``NOVA_QOS_TEST_ROUNDS`` says how often; before a release, 1000.
"""

import os
import random
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import pytest

from tests.cloud.api import Person, wait_for
from tests.cloud.host import Observer
from tests.cloud.values import AT_ONCE, await_held, held
from tools.bed.stack.layout import Layout

ROUNDS = int(os.environ.get("NOVA_QOS_TEST_ROUNDS", "20"))
_REASONS = "2.73"
#: Two requests begin within this time of each other (s).
_APART_S = 0.1


def together(*works: Callable[[], Any]) -> list[Any]:
    """Do these at nearly the same time."""
    def begin(work: Callable[[], Any]) -> Any:
        time.sleep(random.uniform(0, _APART_S))
        return work()

    with ThreadPoolExecutor(len(works)) as pool:
        return list(pool.map(begin, works))


def requested(admin: Person, server: str) -> dict[str, Any]:
    return {name: row["requested"] for name, row in admin.act(server, "get-qos")[1].items()}


@pytest.fixture
def locked(admin: Person, vm1: str) -> Iterator[str]:
    """A server to lock and unlock."""
    yield vm1
    admin.act(vm1, "unlock")
    admin.act(vm1, "set-qos", {"cpu_priority": None, "io_priority": None})


def test_beside_locks_with_reasons(admin: Person, host: Observer, locked: str) -> None:
    lost = []
    for number in range(ROUNDS):
        share, weight, reason = 2000 + number, 100 + number % 900, f"reason {number}"
        (status, _), (answer, _) = together(
            partial(admin.act, locked, "lock", {"locked_reason": reason}, version=_REASONS),
            partial(admin.act, locked, "set-cpu-priority", {"share": share}))
        assert (status, answer) == (202, 200)
        seen, told = requested(admin, locked), admin.show(locked)["locked_reason"]
        if (seen["cpu_priority"], told) != (share, reason):
            lost.append((number, "lock", seen, told))
        (status, _), (answer, _) = together(
            partial(admin.act, locked, "unlock"),
            partial(admin.act, locked, "set-io-priority", {"weight": weight}))
        assert (status, answer) == (202, 200)
        seen, told = requested(admin, locked), admin.show(locked)["locked_reason"]
        if (seen["cpu_priority"], seen["io_priority"], told) != (share, weight, None):
            lost.append((number, "unlock", seen, told))
    assert lost == []
    wait_for(lambda: (held(host, locked)["cpu_priority"], held(host, locked)["io_priority"])
             == (share, weight), 20, "it is in force")


def test_beside_other_sets(admin: Person, host: Observer, vm1: str) -> None:
    lost = []
    for number in range(ROUNDS):
        asked = {"cpu_priority": 2000 + number, "io_priority": 100 + number % 900,
                 "memory_soft_limit": 100 + number % 100, "net_priority": number % 98}
        answers = together(*(
            partial(admin.act, vm1, "set-qos", {name: value})
            for name, value in asked.items()))
        assert {status for status, _ in answers} == {200}
        seen = requested(admin, vm1)
        if asked.items() - seen.items():
            lost.append((number, asked, seen))
    assert lost == []
    now = held(host, vm1)
    assert {name: now[name] for name in asked} == asked
    assert admin.act(vm1, "set-qos", dict.fromkeys(asked))[0] == 200


def test_beside_other_sets_on_no_host(admin: Person, boot: Callable[[str, str], str]) -> None:
    server = boot("lost-shelved", "m256")
    admin.act(server, "shelve")
    admin.wait_for_status(server, "SHELVED_OFFLOADED")
    wait_for(lambda: admin.show(server)["OS-EXT-SRV-ATTR:host"] is None, 20, "it is on no host")
    lost = []
    for number in range(ROUNDS):
        asked = {"cpu_priority": 2000 + number, "io_priority": 100 + number % 900,
                 "memory_soft_limit": 100 + number % 100}
        answers = together(*(
            partial(admin.act, server, "set-qos", {name: value})
            for name, value in asked.items()))
        assert {status for status, _ in answers} == {202}
        seen = requested(admin, server)
        if asked.items() - seen.items():
            lost.append((number, asked, seen))
    assert lost == []


@pytest.fixture
def guest_password() -> Iterator[Callable[[str, str], None]]:
    """Posts a guest's password by nova's own code, as its metadata service does it."""
    layout = Layout.of_environment()
    process = subprocess.Popen(
        [layout.program("python"), "-c", _POSTER, str(layout.etc("nova") / "nova.conf")],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdin
    assert process.stdout
    assert process.stdout.readline() == "ready\n"

    def post(server: str, password: str) -> None:
        print(server, password, file=process.stdin, flush=True)
        assert process.stdout
        assert process.stdout.readline() == "posted\n"

    yield post
    process.stdin.close()
    assert process.wait(20) == 0


def test_beside_a_guests_password(
    admin: Person, host: Observer, vm1: str, guest_password: Callable[[str, str], None]
) -> None:
    lost = []
    for number in range(ROUNDS):
        share, password = 2000 + number, f"password-{number}"
        _, (answer, _) = together(
            partial(guest_password, vm1, password),
            partial(admin.act, vm1, "set-cpu-priority", {"share": share}))
        assert answer == 200
        seen = requested(admin, vm1)["cpu_priority"]
        path = f"/servers/{vm1}/os-server-password"
        told = admin.request("GET", path).json()["password"]
        if (seen, told) != (share, password):
            lost.append((number, seen, told))
        cleared, (answer, _) = together(
            partial(admin.request, "DELETE", path),
            partial(admin.act, vm1, "set-cpu-priority", {"share": share + 1}))
        assert (cleared.status_code, answer) == (204, 200)
        seen, told = (requested(admin, vm1)["cpu_priority"],
                      admin.request("GET", path).json()["password"])
        if (seen, told) != (share + 1, ""):
            lost.append((number, seen, told))
    assert lost == []
    await_held(host, vm1, held(host, vm1) | {"cpu_priority": share + 1}, 20)
    admin.act(vm1, "set-qos", dict.fromkeys(AT_ONCE))


#: nova's metadata service needs a proxy that the demo has not; this is what it calls.
_POSTER = """
import sys
from types import SimpleNamespace
from nova import config, objects
from nova.api.metadata import password
config.parse_args(['poster', '--config-file', sys.argv[1]], default_config_files=[sys.argv[1]])
objects.register_all()
print('ready', flush=True)
for line in sys.stdin:
    server, secret = line.split()
    request = SimpleNamespace(method='POST', body=secret.encode(), content_length=len(secret))
    password.handle_password(request, SimpleNamespace(uuid=server, password=None))
    print('posted', flush=True)
"""
