# SPDX-License-Identifier: Apache-2.0
"""Devices that come and go while all are listed: no list leaves out one that was there all the
time."""

import threading
import time

import pytest

from nova_qos.net import netlink
from nova_qos.net.netlink import Netlink
from tests.net.bench import QuietBench
from tests.net.conftest import MakeQuiet

SERVERS, SECONDS = 150, 6
_COMING = [f"link add coming{number} type bridge" for number in range(8)]
_GOING = [f"link del coming{number}" for number in range(8)]


def test_lists_while_devices_come_and_go(
    make_quiet: MakeQuiet, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = make_quiet(SERVERS)
    taps = {each.tap for interfaces in bench.servers.values() for each in interfaces}
    asked, found = [], []
    until_done = netlink._until_done
    monkeypatch.setattr(
        netlink, "_until_done", lambda answers: asked.append(1) or until_done(answers))
    ends = threading.Event()
    churn = threading.Thread(target=_churn, args=(bench, ends))
    churn.start()
    try:
        with bench.host.inside(), Netlink() as lists:
            until = time.monotonic() + SECONDS
            while time.monotonic() < until:
                found.append(taps <= {each.get_attr("IFLA_IFNAME") for each in lists.get_links()})
    finally:
        ends.set()
        churn.join()
    assert all(found), "a device that was there is missing"
    print(f"{len(found)} lists, {len(asked)} tries")
    assert len(asked) > len(found), "nothing was interrupted"


def _churn(bench: QuietBench, ends: threading.Event) -> None:
    while not ends.is_set():
        bench.host.ip(*_COMING)
        bench.host.ip(*_GOING)


def test_priorities_while_devices_come_and_go(make_quiet: MakeQuiet) -> None:
    bench = make_quiet(20)
    ends = threading.Event()
    churn = threading.Thread(target=_churn, args=(bench, ends))
    churn.start()
    try:
        for round_ in range(10):
            bench.prioritize(round_, round_)
            bench.tidy()
            assert bench.reading(round_).effective
    finally:
        ends.set()
        churn.join()
    assert [bench.reading(number).applied for number in range(10)] == list(range(10))
