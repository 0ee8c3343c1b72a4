# SPDX-License-Identifier: Apache-2.0
"""The agent is killed before any change of the kernel's; the next one repairs what it left."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import pytest

from nova_qos.core.units import UNLIMITED
from tests.net.bench import QuietBench, tap_lines
from tests.net.conftest import MakeQuiet
from tests.net.doom import COMPLETE, KILLED, before_change, in_child
from tests.net.picture import look, made_anew

_MOST_CHANGES = 200

Act = Callable[[QuietBench], None]


@dataclass(frozen=True)
class Case:
    """Priorities before and after, and what happens in between: first to the host, then ours."""

    before: Mapping[int, int]
    after: Mapping[int, int]
    ours: Act
    theirs: Act = lambda bench: None
    uplinks: tuple[str, ...] = ("up0", "up1")


def _reboot_one_and_stop_another(bench: QuietBench) -> None:
    bench.stop_server(3)
    bench.host.ip("link del tap0", *tap_lines(0))


def _change_frames(bench: QuietBench) -> None:
    bench.host.ip("link set up0 mtu 1400")


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
    "one of two uplinks with other frames": Case(
        {0: 0, 1: 73}, {0: 0, 1: 73}, lambda bench: bench.prioritize(1, 73), _change_frames),
    "the uplink with other frames": Case(
        {0: 0, 1: 73}, {0: 0, 1: 73}, _apply_all, _change_frames, uplinks=("up0",)),
}


@pytest.mark.parametrize("name", CASES)
def test_killed(make_quiet: MakeQuiet, name: str) -> None:
    case = CASES[name]
    bench = make_quiet(4, *case.uplinks)
    case.theirs(bench)
    wanted = made_anew(bench, case.after)
    for doomed in range(1, _MOST_CHANGES):
        _as_before(bench, case)
        case.theirs(bench)
        end = in_child(partial(_act, bench, case.ours, doomed))
        assert end in (KILLED, COMPLETE), f"change {doomed}"
        left = look(bench)
        bench.restart_agent()
        case.ours(bench)
        assert look(bench) == wanted, f"killed before change {doomed}: {left}"
        if end == COMPLETE:
            break
    print(f"{name}: killed before each of {doomed - 1} changes")
    assert doomed > 1


def _as_before(bench: QuietBench, case: Case) -> None:
    bench.host.ip("link set up0 mtu 1500")
    if bench.uuids[3] not in bench.servers:
        bench.start_server(3)
    made_anew(bench, case.before)


def _act(bench: QuietBench, act: Act, doomed: int) -> int:
    before_change(doomed, lambda: os._exit(KILLED))
    act(bench)
    return COMPLETE
