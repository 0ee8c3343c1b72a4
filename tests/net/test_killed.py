# SPDX-License-Identifier: Apache-2.0
"""The agent is killed before any change of the kernel's; the next one repairs what it left."""

import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import pytest
from pyroute2.netlink.nlsocket import NetlinkRequest
from pyroute2.netlink.rtnl import RTM_DELQDISC, RTM_DELTCLASS, RTM_NEWQDISC, RTM_NEWTCLASS

from nova_qos.model import UNLIMITED
from tests.net.bench import QuietBench, tap_lines
from tests.net.conftest import MakeQuiet
from tests.net.picture import look, made_anew

_CHANGES = (RTM_NEWQDISC, RTM_DELQDISC, RTM_NEWTCLASS, RTM_DELTCLASS)
_KILLED, _COMPLETE, _FAILED = 9, 0, 1
_MOST_CHANGES = 200

Act = Callable[[QuietBench], None]


@dataclass(frozen=True)
class Case:
    """Priorities before and after, and what happens in between: first to the host, then ours."""

    before: Mapping[int, int]
    after: Mapping[int, int]
    ours: Act
    theirs: Act = lambda bench: None


def _reboot_one_and_stop_another(bench: QuietBench) -> None:
    bench.stop_server(3)
    bench.host.ip("link del tap0", *tap_lines(0))


def _apply_all(bench: QuietBench) -> None:
    """As an agent does that starts: a tree that is made anew takes all weights with it."""
    bench.prioritize(0, 0)
    bench.prioritize(1, 73)


CASES = {
    "first priority": Case({}, {1: 73}, lambda bench: bench.prioritize(1, 73)),
    "another's first priority": Case(
        {0: 0, 1: 73}, {0: 0, 1: 73, 2: 5}, lambda bench: bench.prioritize(2, 5)),
    "change": Case({0: 0, 1: 73}, {0: 0, 1: 20}, lambda bench: bench.prioritize(1, 20)),
    "one of two removed": Case(
        {0: 0, 1: 73}, {0: 0}, lambda bench: bench.prioritize(1, UNLIMITED)),
    "last one removed": Case({1: 73}, {}, lambda bench: bench.prioritize(1, UNLIMITED)),
    "servers come and go": Case(
        {0: 0, 1: 73}, {0: 0, 1: 73}, QuietBench.tidy, _reboot_one_and_stop_another),
    "uplink with other frames": Case(
        {0: 0, 1: 73}, {0: 0, 1: 73}, _apply_all,
        lambda bench: bench.host.ip("link set up0 mtu 1400")),
}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("uplinks", [("up0",), ("up0", "up1")], ids=["one uplink", "two uplinks"])
def test_killed(make_quiet: MakeQuiet, name: str, uplinks: tuple[str, ...]) -> None:
    case = CASES[name]
    bench = make_quiet(4, *uplinks)
    case.theirs(bench)
    wanted = made_anew(bench, case.after)
    for doomed in range(1, _MOST_CHANGES):
        _as_before(bench, case)
        case.theirs(bench)
        end = _in_child(bench, case.ours, doomed)
        assert end in (_KILLED, _COMPLETE), f"change {doomed}"
        left = look(bench)
        bench.restart_agent()
        case.ours(bench)
        assert look(bench) == wanted, f"killed before change {doomed}: {left}"
        if end == _COMPLETE:
            break
    print(f"{name}: killed before each of {doomed - 1} changes")
    assert doomed > 1


def _as_before(bench: QuietBench, case: Case) -> None:
    bench.host.ip("link set up0 mtu 1500")
    if bench.uuids[3] not in bench.servers:
        bench.start_server(3)
    made_anew(bench, case.before)


def _in_child(bench: QuietBench, act: Act, doomed: int) -> int:
    """Act in a process that ends before its change of that number; return its exit status."""
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    try:
        _die_before(doomed)
        act(bench)
        os._exit(_COMPLETE)
    finally:
        os._exit(_FAILED)


def _die_before(doomed: int) -> None:
    changes = 0

    def count() -> None:
        nonlocal changes
        changes += 1
        if changes == doomed:
            os._exit(_KILLED)

    def heed(event: str, arguments: tuple[Any, ...]) -> None:
        if event == "subprocess.Popen" and "-f" in arguments[1]:
            count()

    send = NetlinkRequest.send

    async def heeded_send(request: NetlinkRequest) -> Any:
        if request.msg["header"]["type"] in _CHANGES:
            count()
        return await send(request)

    sys.addaudithook(heed)
    NetlinkRequest.send = heeded_send
