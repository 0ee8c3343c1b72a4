# SPDX-License-Identifier: Apache-2.0
"""How long an edit of a policy takes to be in force on running servers that it applies to."""

import contextlib
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from tools.bed import observer
from tools.bed.errors import TestbedError
from tools.evaluation import timings
from tools.evaluation.rest import Rest
from tools.evaluation.site import LeftOut, Site
from tools.evaluation.timings import Change, Way

_NAME, _PATH = "evaluation", "/os-qos-policies"
_ROUNDS = {Way.API: 12, Way.OPENSTACK: 4}
#: The agent asks for policies by itself every minute: edits fall anywhere in between.
_PAUSE_S = 3.0
_POLL_S, _TIMEOUT_S = 0.005, 75
_FIRST = 2000


def perform(site: Site, out: Path) -> None:
    """Edits of a policy's CPU priority, which the control groups of all three servers show.

    :raises LeftOut: the host has no cgroup v1
    """
    if not observer.has_cgroup_v1():
        raise LeftOut("the cloud's own host has cgroup v2, where libvirt needs systemd")
    rest, done = Rest(), []
    site.clear()
    with _applied(rest, site) as policy:
        look = _look(site)
        if not all(value == _FIRST for value in look().values()):
            raise TestbedError(f"the policy is not in force on all servers: {look()}")
        values = iter(range(_FIRST + 1, 2 * _FIRST))
        for way, rounds in _ROUNDS.items():
            print(f"  {rounds} edits by {way.named}", flush=True)
            for number in range(rounds):
                time.sleep(site.random.uniform(0, _PAUSE_S))
                value = next(values)
                edit = _edits(rest, site, policy, value)[way]
                done += _timed(edit, look, value, way, number)
    timings.save_changes(done, out / "policy")


def _edits(
    rest: Rest, site: Site, policy: str, value: int
) -> dict[Way, Callable[[], object]]:
    return {
        Way.API: lambda: _require(rest.request(
            "PUT", f"{_PATH}/{policy}", {"policy": {"settings": {"cpu_priority": value}}})),
        # it waits until hosts tell that they have it
        Way.OPENSTACK: lambda: site.openstack.run(
            "server", "qos", "policy", "set", "--cpu-priority", str(value), _NAME)}


def _look(site: Site) -> Callable[[], dict[str, int]]:
    files = {label: site.observer.group_file(server.uuid, "cpu", "cpu.shares")
             for label, server in site.labelled()}
    return lambda: {label: int(file.read_text()) for label, file in files.items()}


def _timed(
    edit: Callable[[], object], look: Callable[[], dict[str, int]], value: int, way: Way,
    number: int,
) -> list[Change]:
    """When each server holds the value, and when asking was over, since the edit began.

    :raises TestbedError: one never does, or the edit fails
    """
    held: dict[str, float] = {}
    began = time.monotonic()
    with ThreadPoolExecutor(1) as pool:
        asking = pool.submit(lambda: (edit(), time.monotonic())[1])
        while len(held) < len(seen := look()):
            now = time.monotonic() - began
            held |= {label: now for label, shown in seen.items()
                     if shown == value and label not in held}
            failure = asking.exception() if asking.done() else None
            if failure or now > _TIMEOUT_S:
                raise TestbedError(f"an edit by {way} arrives at {sorted(held)} only: {failure}")
            time.sleep(_POLL_S)
        ended = asking.result() - began
    return [Change(label, way, number, took, ended) for label, took in sorted(held.items())]


@contextlib.contextmanager
def _applied(rest: Rest, site: Site) -> Iterator[str]:
    """The id of a policy that all three servers are set to; it is gone at the end."""
    _forget(rest, site)
    answer = _require(rest.request("POST", _PATH, {"policy": {
        "name": _NAME, "settings": {"cpu_priority": _FIRST}}}))
    try:
        for server in site.servers:
            _require((rest.act(server.uuid, "set-qos", {"policy": _NAME}), None))
        yield str(answer["policy"]["id"])
    finally:
        _forget(rest, site)


def _forget(rest: Rest, site: Site) -> None:
    """Delete the policy, also that of a run that came to a bad end."""
    for server in site.servers:
        rest.act(server.uuid, "set-qos", {"policy": None})
    found = _require(rest.request("GET", f"{_PATH}?name={_NAME}"))
    for each in found["policies"]:
        _require(rest.request("DELETE", f"{_PATH}/{each['id']}"))


def _require(answer: tuple[int, Any]) -> Any:
    status, body = answer
    if not 200 <= status < 300:
        raise TestbedError(f"nova answers {status}: {body}")
    return body
