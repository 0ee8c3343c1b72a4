# SPDX-License-Identifier: Apache-2.0
"""Servers whose inbound traffic is under control."""

from collections.abc import Mapping

from nova_qos.core.reading import Reading
from nova_qos.core.units import UNLIMITED
from nova_qos.net.inbound import Inbound
from tests.net.bench import DEFAULT_WEIGHT, RATE_MBIT, Bench
from tests.net.picture import class_bytes
from tests.net.traffic import Clock

RECEIVER, TABLE = "nova-qos-in", "nova_qos_in"
_MBIT = 1000


class Receivers:
    """The servers of a bench, with what they receive under control."""

    def __init__(self, bench: Bench, rate_mbit: int | None = RATE_MBIT) -> None:
        self.bench, self._rate_mbit = bench, rate_mbit
        self.restart_agent()

    def restart_agent(self) -> None:
        self.inbound = Inbound(self._rate_mbit, DEFAULT_WEIGHT)

    def set(self, number: int, **values: int) -> None:
        """``prio`` or ``weight``, and ``limit`` and ``guarantee`` in Mbit/s."""
        asked = {}
        for name, value in values.items():
            if name == "weight":
                asked["net_in_priority"] = 99 - value
            elif name == "prio":
                asked["net_in_priority"] = value
            else:
                asked[f"net_in_{name}"] = value if value == UNLIMITED else value * _MBIT
        with self.bench.host.inside():
            self.inbound.write(self.bench.uuids[number], asked, self.bench.neighbours)

    def readings(self, number: int) -> Mapping[str, Reading]:
        uuid = self.bench.uuids[number]
        with self.bench.host.inside():
            one = self.inbound.read(uuid, self.bench.servers[uuid])
            assert one == self.inbound.snapshot().read(uuid, self.bench.servers[uuid])
        return {name.removeprefix("net_in_"): each for name, each in one.items()}

    def applied(self, number: int) -> dict[str, int | None]:
        """All of it must be effective; rates in Mbit/s."""
        found = self.readings(number)
        assert all(each.effective for each in found.values()), found
        return {name: each.applied if name == "priority" or each.applied in (None, UNLIMITED)
                else each.applied // _MBIT for name, each in found.items()}

    def tidy(self, correct: bool = True) -> None:
        with self.bench.host.inside():
            self.inbound.tidy(self.bench.neighbours, correct, None)

    def class_of(self, number: int) -> str:
        """By what nft shows."""
        host = self.bench.host
        tap = self.bench.servers[self.bench.uuids[number]][0].tap
        text = host.run("nft", "list", "table", "netdev", TABLE)
        chain = text.split(f'hook egress device "{tap}"')[1].split("}")[0]
        assert f'fwd to "{RECEIVER}"' in chain
        return chain.split("meta priority set ")[1].split()[0]

    def mbit(self, clock: Clock, begin_s: float, end_s: float) -> dict[int, float]:
        """What the classes have handed on, by server."""
        names = {number: self.class_of(number) for number in range(len(self.bench.servers))}
        clock.wait_until(begin_s)
        before, began = class_bytes(self.bench.host, RECEIVER), clock.now()
        clock.wait_until(end_s)
        after, ended = class_bytes(self.bench.host, RECEIVER), clock.now()
        return {number: (after[name] - before[name]) * 8e-6 / (ended - began)
                for number, name in names.items()}
