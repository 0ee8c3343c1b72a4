# SPDX-License-Identifier: Apache-2.0
"""What forwarding through our device costs: small packets that a guest receives in a second, with
an inbound priority and without any inbound control, in turns.

Usage, as root: ``python -m tests.benchmark.forward``
"""

import argparse
import json
import os
import statistics
import tempfile

from nova_qos.net.inbound import Inbound
from tests.net.bench import SiteBench
from tools.bed.site import EAGER, Site

_RATE_MBIT = 100_000
_KINDS = {"controlled": 10, "free": -1}


class Receiver:
    """A guest that the outside world sends to."""

    def __init__(self) -> None:
        self._site = Site("bridge", [1])
        self._bench = SiteBench(self._site)
        self._inbound = Inbound(_RATE_MBIT, default_weight=50)

    def use(self, priority: int) -> None:
        """-1: no inbound control."""
        with self._bench.host.inside():
            self._inbound.write(
                self._bench.uuids[0], {"net_in_priority": priority}, self._bench.neighbours)

    def thousands_of_packets(self, seconds: int) -> float:
        """How many datagrams of 64 bytes arrive in a second."""
        guest = self._site.guests[0]
        nic = guest.nics[0]
        with tempfile.TemporaryFile("w+") as output:
            client = guest.namespace.start(
                *EAGER, "iperf3", "--json", "--reverse", "--udp", "--length", "64", "--bitrate",
                "0", "--time", str(seconds), "--client", self._site.target(), "--port",
                str(nic.port), "--bind", nic.addresses[0], "--bind-dev", nic.device, output=output)
            client.wait(timeout=seconds + 30)
            output.seek(0)
            end = json.load(output)["end"]["sum"]
        return float(end["packets"] - end["lost_packets"]) / float(end["seconds"]) / 1e3

    def remove(self) -> None:
        self._site.remove()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=3)
    options = parser.parse_args()
    receiver = Receiver()
    found: dict[str, list[float]] = {name: [] for name in _KINDS}
    try:
        for _ in range(options.rounds):
            for name, priority in _KINDS.items():
                receiver.use(priority)
                found[name].append(receiver.thousands_of_packets(options.seconds))
    finally:
        receiver.remove()
    controlled, free = (statistics.median(found[name]) for name in _KINDS)
    print(f"1000 packets/s of 64 bytes to a guest, on {os.cpu_count()} processors: "
          f"{controlled:.1f} with inbound control, {free:.1f} without, "
          f"ratio {controlled / free:.3f}")


if __name__ == "__main__":
    main()
