# SPDX-License-Identifier: Apache-2.0
"""Guarantees and inbound priorities behind Open vSwitch in the kernel, by what classes hand on."""

import time
from collections.abc import Callable, Sequence

import pytest

from tests.net.picture import class_bytes
from tests.net.receivers import RECEIVER, Receivers
from tests.net.traffic import Clock, receive
from tests.vmhost.overlay import Carrier, Plug
from tests.vmhost.sharing import OvsBench, bench
from tools.bed.site import UPLINK

_RATE_MBIT, _SECONDS, _ATTEMPTS = 20, 20, 3
_PLUGS: tuple[Plug, ...] = ("straight", "hybrid", "straight")


def judge(what: str, wanted: Sequence[float], measure: Callable[[], Sequence[float]]) -> None:
    """Parts of what all have, within 5 %: an emulated machine that wakes up late loses capacity,
    which it loses for all. What is wrong is wrong each time; what came late, once or twice."""
    for _attempt in range(_ATTEMPTS):
        got = measure()
        parts = [each / sum(got) for each in got]
        print(f"{what}: " + "/".join(f"{each:.2f}" for each in got) + " Mbit/s")
        if parts == pytest.approx([each / sum(wanted) for each in wanted], rel=0.05):
            return
    raise AssertionError(f"{what}: {got}, not as {wanted}")


@pytest.mark.parametrize("carrier", ["vxlan", "flat"])
@pytest.mark.resources("net_guarantee", "net_priority")
def test_a_guarantee_beside_weights(carrier: Carrier) -> None:
    with bench(carrier, _PLUGS, _RATE_MBIT) as made:
        for number, weight in enumerate((25, 50, 25)):
            made.weigh(number, weight)
        with made.host.inside():
            made.shaper.write(made.uuids[0], {"net_guarantee": 10_000}, made.neighbours)
        names = [classes_of(made, number) for number in range(3)]

        def measure() -> list[float]:
            before, began = class_bytes(made.host, UPLINK), time.monotonic()
            time.sleep(_SECONDS)
            after, ended = class_bytes(made.host, UPLINK), time.monotonic()
            return [(after[name] - before[name]) * 8e-6 / (ended - began) for name in names]

        with made.ovs.all_sending():
            judge(f"{carrier}, guarantee 10 of 20, weights 1:2:1", (10, 20 / 3, 10 / 3), measure)


@pytest.mark.parametrize("carrier", ["vxlan", "flat"])
@pytest.mark.resources("net_in_priority")
def test_inbound_weights(carrier: Carrier) -> None:
    with bench(carrier, _PLUGS, _RATE_MBIT) as made:
        receivers = Receivers(made, _RATE_MBIT)
        for number, weight in enumerate((80, 40, 20)):
            receivers.set(number, weight=weight)
        assert f"fwd to \"{RECEIVER}\"" in made.host.run("nft", "list", "ruleset")

        def measure() -> list[float]:
            clock = Clock()
            flows = [receive(clock, made.site, each, 3 + _SECONDS) for each in made.site.guests]
            got = list(receivers.mbit(clock, 3, 2 + _SECONDS).values())
            assert all(flow.mbit(3, 2 + _SECONDS) > 0.5 for flow in flows)
            return got

        judge(f"{carrier}, inbound 4:2:1 of 20", (4, 2, 1), measure)


def classes_of(made: OvsBench, number: int) -> str:
    """The server's class, by what nft shows."""
    mac = made.servers[made.uuids[number]][0].mac
    listed = made.host.run("nft", "list", "map", "netdev", "nova_qos", "by_mac")
    return listed.split(f"{mac} : ")[1].split()[0].rstrip(",")
