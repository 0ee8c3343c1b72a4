# SPDX-License-Identifier: Apache-2.0
"""Servers of this machine, and whether what arrives of each follows its weight."""

import contextlib
from collections.abc import Iterator, Sequence

from nova_qos.net.outbound import Outbound
from tests.net.bench import SiteBench
from tests.vmhost.overlay import Carrier, OvsSite, Plug

# An emulated machine whose host is busy wakes up late, some 30 ms at worst, and what a class may
# send by then is lost beyond its burst. So a frame takes 12 ms here, and nearly all is guaranteed.
RATE_MBIT, DEFAULT_WEIGHT = 1, 1
_WEIGHTS = (39, 26, 15)
_PLUGS: tuple[Plug, ...] = ("straight", "hybrid", "straight")
_TOLERANCE = 0.08
# headers of Ethernet and of tunnels are not counted among what arrives
_LEAST, _MOST = 0.8, 1.02
_SECONDS, _ATTEMPTS = 5, 5


class OvsBench(SiteBench):
    """Servers behind Open vSwitch."""

    def __init__(self, site: OvsSite, rate_mbit: int) -> None:
        super().__init__(site, rate_mbit)
        self.ovs = site

    def restart_agent(self) -> None:
        self.shaper = Outbound(self.uplinks, self._rate_mbit, DEFAULT_WEIGHT)

    def check_shares(self, what: str) -> None:
        """While all send: each has its weight's part, and all together have the capacity.

        What is wrong is wrong each time; what came late, once or twice.
        """
        for _attempt in range(_ATTEMPTS):
            is_fair, report = self._judge(self.ovs.arriving_mbit(_SECONDS))
            print(f"{what}, {report}")
            if is_fair:
                return
        raise AssertionError(f"{what}, {report}")

    def _judge(self, arrived: Sequence[float]) -> tuple[bool, str]:
        whole = sum(arrived)
        off = [mbit / (whole * weight / sum(_WEIGHTS)) - 1
               for mbit, weight in zip(arrived, _WEIGHTS, strict=True)]
        figures = ", ".join(
            f"{weight}: {mbit:.3f} ({part:+.1%})"
            for weight, mbit, part in zip(_WEIGHTS, arrived, off, strict=True))
        is_fair = (max(map(abs, off)) < _TOLERANCE
                   and _LEAST * RATE_MBIT < whole < _MOST * RATE_MBIT)
        return is_fair, f"Mbit/s by weight: {figures}; together {whole:.3f}"


@contextlib.contextmanager
def bench(
    carrier: Carrier, plugs: Sequence[Plug], rate_mbit: int = RATE_MBIT
) -> Iterator[OvsBench]:
    """A host with a server for each of ``plugs``; nothing of it is left afterwards."""
    site = OvsSite(carrier, plugs)
    try:
        yield OvsBench(site, rate_mbit)
    finally:
        site.remove()


@contextlib.contextmanager
def three_sending(carrier: Carrier) -> Iterator[OvsBench]:
    """Three servers with weights, one with the hybrid plug, send as much as they can."""
    with bench(carrier, _PLUGS) as made:
        for number, weight in enumerate(_WEIGHTS):
            made.weigh(number, weight)
        with made.ovs.all_sending():
            yield made
