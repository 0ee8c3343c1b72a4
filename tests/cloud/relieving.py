# SPDX-License-Identifier: Apache-2.0
"""``openstack server qos relieve`` as an administrator types it; the demo's host, told to be short.
"""

import json
import os
import subprocess
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from tests.cloud.api import Person, wait_for
from tools.bed.stack import services
from tools.bed.stack.layout import Layout

#: An agent that has just started tells of its servers by then, and their guests have reported.
_STARTED_S = 60
#: By how many MiB what servers need may differ from one moment to the next.
_STEADY_MIB = 8


@dataclass(frozen=True)
class Ended:
    """What the command has printed: its table, what it said beside that, and its exit status."""

    rows: Sequence[dict[str, Any]]
    said: str
    status: int


def command(*words: str) -> list[str]:
    """The command line."""
    return [Layout.of_environment().program("openstack"), "server", "qos", "relieve", *words,
            "-f", "json"]


def relieve(admin: Person, *words: str) -> Ended:
    """Run it to its end."""
    answer = subprocess.run(
        command(*words), env={**os.environ, **admin.environment}, capture_output=True, text=True)
    return ended(answer.returncode, answer.stdout, answer.stderr)


def ended(status: int, printed: str, said: str) -> Ended:
    """What a run of it has come to."""
    assert printed, said
    return Ended(json.loads(printed), said, status)


def told(admin: Person, host: str) -> dict[str, Any]:
    """A host as its agent tells of it, with its servers."""
    answer = admin.request("GET", f"/os-qos/hosts?host={host}&servers=true")
    assert answer.status_code == 200, answer.text
    (found,) = answer.json()["hosts"]
    return dict(found)


def needs(admin: Person, host: str, idle: Collection[str]) -> dict[str, int]:
    """What each server of a host needs of its memory, in MiB, by id.

    :param idle: servers that use less than they have; until their guests report, they need all
    """
    def reported() -> dict[str, int]:
        placed = [each for each in told(admin, host).get("placed") or () if each["running"]]
        known = {each["id"] for each in placed if each["need"] < each["flavor"]}
        return {each["id"]: each["need"] for each in placed} if known >= set(idle) else {}

    return dict(wait_for(reported, _STARTED_S, "guests report"))


@contextmanager
def left(admin: Person, host: str, mib: int) -> Iterator[None]:
    """While inside, the agent of the demo's host is told that nova keeps all memory but so much."""
    layout = Layout.of_environment()
    file = layout.run / "reserved.conf"
    before = told(admin, host)["memory"]
    file.write_text(f"[DEFAULT]\nreserved_host_memory_mb = {before['total'] - mib}\n")
    services.agent(layout).stop()
    try:
        services.agent(layout, file).start()
        wait_for(lambda: _is_told(admin, host, mib, before["needs"]), _STARTED_S,
                 "the agent tells of it")
        yield
    finally:
        services.agent(layout).stop()
        services.agent(layout).start()
        file.unlink()


def _is_told(admin: Person, host: str, capacity_mib: int, needs_mib: int) -> bool:
    memory = told(admin, host)["memory"]
    return memory["capacity"] == capacity_mib and abs(memory["needs"] - needs_mib) <= _STEADY_MIB
