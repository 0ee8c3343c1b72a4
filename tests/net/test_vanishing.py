# SPDX-License-Identifier: Apache-2.0
"""Devices go, and ours is taken away, right before any of the calls that a write makes."""

import contextlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import pytest

from nova_qos.core import errors
from tests.net.bench import QuietBench, tap_lines, uplink_lines
from tests.net.conftest import MakeQuiet
from tests.net.doom import COMPLETE, UNTOUCHED, before_call, in_child
from tests.net.picture import look, made_anew
from tools.bed.namespace import Namespace

_MOST_CALLS = 200
BEFORE = {0: 0, 1: 73}
AFTER = {**BEFORE, 2: 5}


@dataclass(frozen=True)
class Case:
    """What goes, and how it comes back."""

    goes: Callable[[Namespace], object]
    comes: Callable[[Namespace], object] = lambda host: None


def _take_all(host: Namespace) -> None:
    for command in (
        "tc qdisc del dev up0 root", "tc qdisc del dev up1 root",
        "nft delete table netdev nova_qos",
    ):
        host.start(*command.split()).wait()


CASES = {
    "taps": Case(
        lambda host: host.ip("link del tap0", "link del tap2"),
        lambda host: host.ip(*tap_lines(0), *tap_lines(2))),
    "an uplink": Case(
        lambda host: host.ip("link del up1"), lambda host: host.ip(*uplink_lines("up1"))),
    "all that is ours": Case(_take_all),
}


@pytest.mark.parametrize("name", CASES)
def test_vanishing(
    make_quiet: MakeQuiet, name: str, capfd: pytest.CaptureFixture[str]
) -> None:
    """The write succeeds or says why not; once more, and all is as it should be."""
    case = CASES[name]
    bench = make_quiet(4, "up0", "up1")
    wanted = made_anew(bench, AFTER)
    number = 0
    for number in range(1, _MOST_CALLS):
        made_anew(bench, BEFORE)
        end = in_child(partial(_act, bench, case, number))
        assert end in (COMPLETE, UNTOUCHED), f"call {number}: {capfd.readouterr().err}"
        assert look(bench) == wanted, f"call {number}"
        if end == UNTOUCHED:
            break
    print(f"{name} went before each of {number - 1} calls")
    assert number > 5


def _act(bench: QuietBench, case: Case, number: int) -> int:
    """The agent lives on: what it believes to be there may be wrong from now on."""
    gone: list[int] = []

    def vanish() -> None:
        gone.append(os.getpid())
        case.goes(bench.host)

    before_call(number, vanish)
    with contextlib.suppress(errors.HostRefused, errors.HostCannot):
        bench.prioritize(2, AFTER[2])
    if not gone:
        return UNTOUCHED
    case.comes(bench.host)
    bench.prioritize(2, AFTER[2])
    bench.tidy()
    reading = bench.reading(2)
    assert (reading.applied, reading.effective) == (AFTER[2], True), reading
    return COMPLETE
