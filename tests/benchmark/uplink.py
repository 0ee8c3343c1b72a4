# SPDX-License-Identifier: Apache-2.0
"""What an uplink carries of the host's own traffic with a queue for each processor, and with our
tree in their place; and how two servers share an uplink above 1 Gbit/s.

Usage, as root: ``python -m tests.benchmark.uplink``
"""

import argparse
import json
import os
import statistics
import subprocess
import tempfile
from collections.abc import Callable
from typing import Any

from nova_qos.host import Interface
from nova_qos.net.outbound import Outbound
from tests.net.bench import SiteBench
from tests.net.traffic import Clock, Flow
from tools.bed.namespace import Namespace
from tools.bed.site import EAGER, Site

_UPLINK, _SENDERS, _PORT = "up0", min(4, os.cpu_count() or 1), 5301
_SERVER = "00000000-0000-0000-0000-000000000001"
_RATES_MBIT = (2_000, 5_000, 10_000)
_WEIGHTS = (75, 25)
#: What iperf3 sends, and the figure that counts: Gbit/s, or thousands of packets a second.
_KINDS: dict[str, tuple[list[str], Callable[[Any], float]]] = {
    "Gbit/s, TCP, 4 flows a sender":
        (["--parallel", "4"], lambda end: end["sum_received"]["bits_per_second"] / 1e9),
    "1000 packets/s, UDP of 64 bytes":
        (["--udp", "--length", "64", "--bitrate", "0"],
         lambda end: (end["sum"]["packets"] - end["sum"]["lost_packets"])
         / end["sum"]["seconds"] / 1e3),
}


class Pair:
    """A host whose uplink has several queues, and whom it sends to."""

    def __init__(self) -> None:
        self.host, self._outside = Namespace("host"), Namespace("outside")
        queues = f"numtxqueues {_SENDERS} numrxqueues {_SENDERS}"
        self.host.ip(
            f"link add {_UPLINK} {queues} type veth peer name ext0 netns {self._outside.name} "
            f"{queues}",
            f"link set {_UPLINK} up", f"addr add 10.9.0.2/24 dev {_UPLINK}",
            "tuntap add name tap0 mode tap")
        self._outside.ip("link set ext0 up", "addr add 10.9.0.1/24 dev ext0")
        for number in range(_SENDERS):
            self._outside.start(*EAGER, "iperf3", "--server", "--port", str(_PORT + number))
        self._shaper = Outbound([_UPLINK], 1_000_000, default_weight=50)

    def use_queues(self) -> None:
        """As the kernel does it for a card with several."""
        self._prioritize(-1)
        self.host.run("tc", "qdisc", "add", "dev", _UPLINK, "root", "handle", "1:", "mq")

    def use_tree(self) -> None:
        """What the first priority of a server makes."""
        self.host.run("tc", "qdisc", "del", "dev", _UPLINK, "root")
        self._prioritize(10)

    def measure(self, kind: str, seconds: int) -> float:
        """What arrives of all senders together."""
        options, figure = _KINDS[kind]
        outputs = [tempfile.TemporaryFile("w+") for _ in range(_SENDERS)]  # noqa: SIM115
        senders = [
            self.host.start(
                *EAGER, "iperf3", "--client", "10.9.0.1", "--port", str(_PORT + number), "--json",
                "--time", str(seconds), *options, output=output)
            for number, output in enumerate(outputs)]
        found = 0.0
        for sender, output in zip(senders, outputs, strict=True):
            sender.wait(timeout=seconds + 30)
            output.seek(0)
            found += figure(json.load(output)["end"])
            output.close()
        return found

    def remove(self) -> None:
        for each in (self.host, self._outside):
            each.remove()

    def _prioritize(self, priority: int) -> None:
        running = {_SERVER: (Interface("fa:16:3e:00:00:00", "tap0"),)}
        with self.host.inside():
            self._shaper.write(_SERVER, {"net_priority": priority}, lambda: running)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=3)
    options = parser.parse_args()
    print(f"{_SENDERS} senders, {os.cpu_count()} processors, "
          f"{subprocess.run(['uname', '-r'], capture_output=True, text=True).stdout.strip()}")
    _compare(options.rounds, options.seconds)
    for rate_mbit in _RATES_MBIT:
        _share(rate_mbit, options.seconds)


def _compare(rounds: int, seconds: int) -> None:
    pair = Pair()
    found: dict[tuple[str, str], list[float]] = {}
    try:
        for _ in range(rounds):
            for name, use in (("queues", pair.use_queues), ("tree", pair.use_tree)):
                use()
                for kind in _KINDS:
                    found.setdefault((kind, name), []).append(pair.measure(kind, seconds))
    finally:
        pair.remove()
    for kind in _KINDS:
        tree, queues = (statistics.median(found[kind, name]) for name in ("tree", "queues"))
        print(f"the host's own, {kind:<34} {tree:9.1f} {queues:9.1f} {tree / queues:7.3f}")


def _share(rate_mbit: int, seconds: int) -> None:
    site = Site("bridge", [1, 1])
    try:
        bench = SiteBench(site, rate_mbit)
        for number, weight in enumerate(_WEIGHTS):
            bench.weigh(number, weight)
        clock = Clock()
        flows = [Flow(clock, guest.namespace, seconds, "--client", site.target(), "--port",
                      str(guest.nics[0].port), "--bind", guest.nics[0].addresses[0],
                      "--parallel", "4")
                 for guest in site.guests]
        mbit = [flow.mbit(0.5, seconds - 0.2) for flow in flows]
    finally:
        site.remove()
    print(f"two servers, htb_rate {rate_mbit:>6}, weights {_WEIGHTS}: "
          f"{mbit[0]:.0f} and {mbit[1]:.0f} Mbit/s, together {sum(mbit):.0f}, "
          f"{mbit[0] / mbit[1]:.2f} : 1")


if __name__ == "__main__":
    main()
