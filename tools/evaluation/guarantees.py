# SPDX-License-Identifier: Apache-2.0
"""What guarantees refuse: less memory than a server is guaranteed, and guarantees of more than the
host has."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from tools.bed.errors import TestbedError
from tools.evaluation import promises, timings
from tools.evaluation.memory import ACTUAL_EVERY_S, actual
from tools.evaluation.promises import Promised
from tools.evaluation.recording import Recording
from tools.evaluation.rest import Rest
from tools.evaluation.site import Site
from tools.evaluation.sizes import GUARANTEED_MIB, UPLINK_MBIT
from tools.evaluation.timings import Answered

_GUARANTEE, _MEMORY, _REMOVED = "lv-set-mem-guarantee", "lv-set-mem", -1
_LESS_MIB = (GUARANTEED_MIB - 1, GUARANTEED_MIB // 2, 1)
_HOLD_S = 5
#: A resource of ``GET /os-qos/hosts``, its setting, and what each of the three servers asks for:
#: together one and a half times as much as this machine's two processors, and the uplink, have.
_TOO_MUCH = (("cpu", "cpu_guarantee", 100), ("net", "net_guarantee", UPLINK_MBIT * 1000 // 2))
#: What is told of a host may be a second old.
_OLD_S = 2


def perform(site: Site, out: Path) -> None:
    """Memory of one server; then all three ask for too much of the host."""
    rest = Rest()
    site.clear()
    try:
        attempts = _memory(site, rest, Recording(out / "guarantees"))
        timings.save_answered(attempts, out / "guarantees-refused")
        site.clear()
        promises.save([_promised(site, rest, *each) for each in _TOO_MUCH],
                      out / "guarantees-refused")
    finally:
        site.clear()


def _memory(site: Site, rest: Rest, recording: Recording) -> list[Answered]:
    """VM1 has as much as it is guaranteed, is asked for less in vain, and without a guarantee gives
    it."""
    with recording.sampling("balloons", actual(site), ACTUAL_EVERY_S):
        given = site.change(recording, _GUARANTEE, {"VM1": GUARANTEED_MIB})
        recording.hold("guaranteed", _HOLD_S, {}, given)
        asked = site.change(recording, _MEMORY, {"VM1": GUARANTEED_MIB})
        recording.hold("as guaranteed", _HOLD_S, {"VM1": GUARANTEED_MIB}, asked)
        attempts = _attempts(rest, site.servers[0].uuid)
        recording.hold("less was asked for", _HOLD_S, {"VM1": GUARANTEED_MIB})
        site.change(recording, _GUARANTEE, {"VM1": _REMOVED})
        asked = site.change(recording, _MEMORY, {"VM1": GUARANTEED_MIB // 2})
        recording.hold("without a guarantee", _HOLD_S, {"VM1": GUARANTEED_MIB // 2}, asked)
    recording.save()
    return attempts


def _attempts(rest: Rest, server: str) -> list[Answered]:
    """Every way to ask for less memory than is guaranteed.

    :raises TestbedError: one fails, which is no refusal
    """
    ways: dict[str, Callable[[int], int]] = {
        "set-current-memory": lambda mib: rest.act(server, "set-current-memory", {"memory": mib}),
        "set-qos": lambda mib: rest.act(server, "set-qos", {"memory": mib}),
        "POST /os-qos": lambda mib: rest.set_many([server], {"memory": mib}),
    }
    print(f"  {', '.join(ways)}: {_LESS_MIB} MiB by each", flush=True)
    found, began = [], time.monotonic()
    for way, ask in ways.items():
        for number, mib in enumerate(_LESS_MIB):
            started = time.monotonic()
            if (status := ask(mib)) >= 500:
                raise TestbedError(f"{way} of {mib} MiB: nova answers {status}")
            found.append(Answered(1, way, number, started - began, time.monotonic() - started,
                                  status))
    return found


def _promised(site: Site, rest: Rest, family: str, setting: str, each: int) -> Promised:
    """What becomes of it when every server asks for so much."""
    print(f"  {setting} {each} for each of {len(site.servers)}", flush=True)
    status, answer = rest.request("POST", "/os-qos", {"changes": [
        {"server": server.uuid, "settings": {setting: each}} for server in site.servers]})
    if status not in (200, 207):
        raise TestbedError(f"nova answers {status}: {answer}")
    refused = [result["code"] for result in answer["results"] if result["code"] >= 400]
    time.sleep(_OLD_S)
    host = _host(rest, site.servers[0].uuid)[family]
    return Promised(setting, str(host["unit"]), each, len(site.servers), _count(refused),
                    host["guaranteed"], host["capacity"])


def _count(codes: Sequence[int]) -> int:
    """How many were refused as too much.

    :raises TestbedError: one failed for another reason
    """
    if set(codes) - {409}:
        raise TestbedError(f"not refused as more than there is, but {codes}")
    return len(codes)


def _host(rest: Rest, server: str) -> dict[str, Any]:
    """What nova tells of the server's host."""
    _, shown = rest.request("GET", f"/servers/{server}")
    _, answer = rest.request(
        "GET", f"/os-qos/hosts?host={shown['server']['OS-EXT-SRV-ATTR:host']}")
    (host,) = answer["hosts"]
    return dict(host)
