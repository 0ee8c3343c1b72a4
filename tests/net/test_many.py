# SPDX-License-Identifier: Apache-2.0
"""A change on a host with hundreds of servers touches what it must, as the kernel tells it."""

import re
import time
from collections.abc import Callable
from functools import partial

import pytest

from nova_qos.core.units import UNLIMITED
from tests.net.bench import QuietBench, tap_interface
from tests.net.conftest import MakeQuiet
from tests.net.picture import WHOLE, class_of, classes
from tools.bed.namespace import Namespace
from tools.bed.processes import wait_until
from tools.bed.site import UPLINK

MANY = 200


@pytest.fixture
def many(make_quiet: MakeQuiet) -> QuietBench:
    bench = make_quiet(MANY)
    bench.prioritize(0, 10)
    assert len(classes(bench.host, UPLINK)) == MANY + 2
    return bench


def test_change_touches_no_other_server(many: QuietBench) -> None:
    """One of 200 is changed, another gets its first priority and loses it again."""
    for what, number, priority in (
        ("10 to 20", 0, 20), ("none to 30", 7, 30), ("30 to none", 7, UNLIMITED),
    ):
        check_messages(what, many, number, partial(many.prioritize, number, priority))


def test_server_that_comes_or_goes_touches_no_other(many: QuietBench) -> None:
    number = 7

    def come() -> None:
        many.start_server(number)
        many.tidy()

    def go() -> None:
        many.stop_server(number)
        many.tidy()

    check_messages("goes", many, number, go)
    check_messages("comes", many, number, come)
    assert len(classes(many.host, UPLINK)) == MANY + 2


def check_messages(
    what: str, bench: QuietBench, number: int, change: Callable[[], None]
) -> None:
    """A change of one server is told of its classes, its address and its tap alone."""
    mac = tap_interface(number).mac
    before = class_of(bench.host, mac)
    of_tc, of_nft = _messages(bench.host, change)
    print(f"{what}: tc {of_tc}, nft {of_nft}")
    own = {before, class_of(bench.host, mac), WHOLE, None}
    # questions are answered to all listeners, too: the class of the whole is one
    touched = {name for line in of_tc for name in re.findall(r"5ca1:[0-9a-f]+", line)}
    assert touched
    assert touched <= own
    assert len(of_tc) <= 12
    assert sum("fa:16:3e" in line for line in of_nft) == sum(mac in line for line in of_nft)
    assert len(of_nft) <= 10


def _messages(host: Namespace, change: Callable[[], None]) -> tuple[list[str], list[str]]:
    """What ``tc monitor`` and ``nft monitor`` report of a change."""
    with host.monitor("tc", "monitor") as of_tc, host.monitor("nft", "monitor") as of_nft:
        # they say nothing when they are ready
        time.sleep(0.5)
        change()
        assert wait_until(lambda: bool(of_tc()), 5)
        time.sleep(0.3)
        tc, nft = of_tc(), of_nft()
    return re.findall(r"^(?:deleted )?(?:class|qdisc) .*", tc, re.M), re.findall(
        r"^(?:add|delete) .*", nft, re.M)
