# SPDX-License-Identifier: Apache-2.0
"""Guests that send as much as they can to the world outside, and what arrives there."""

import contextlib
import re
from collections.abc import Iterator, Sequence

from tools.bed.errors import TestbedError
from tools.bed.processes import Daemon, wait_until
from tools.bed.stack.layout import Layout
from tools.bed.stack.network import OUTSIDE, OUTSIDE_ADDRESS
from tools.bed.stack.servers import Server

INTERVAL_S = 0.5
#: Of an Ethernet frame of 1514 bytes, what TCP carries for its user and what iperf3 counts.
DATA_SHARE = 1448 / 1514
_FIRST_PORT = 5201
_LONGEST_S = 120
_TIMEOUT_S = 15
# Who sends tells of retransmits and its window, too. The remainder of an interval at a test's end,
# and its summary, do not match.
_LINE = re.compile(
    r"^\[ *\d+\] +([\d.]+)-([\d.]+) +sec .* ([\d.]+) Kbits/sec *(?:\d+ +[\d.]+ \w+ *)?$",
    re.MULTILINE)


class Stream:
    """One guest's stream to an iperf3 server of its own; with ``inbound`` the other way.

    The sender's window is small enough that its packets wait a moment and none is dropped.
    """

    def __init__(
        self, layout: Layout, server: Server, number: int, inbound: bool = False
    ) -> None:
        self.server = server
        self._options = " --reverse" if inbound else ""
        self._port = str(_FIRST_PORT + number)
        command = ["iperf3", "--server", "--port", self._port, "--interval", str(INTERVAL_S),
                   "--format", "k", "--forceflush"]
        self._daemon = Daemon(f"iperf3-{self._port}", ["ip", "netns", "exec", OUTSIDE, *command],
                              layout.run, ready=lambda: "listening" in self._printed())

    def open(self) -> None:
        """Start the iperf3 server; one that an earlier run has left is ended."""
        self.close()
        self._daemon.log_file.unlink(missing_ok=True)
        self._daemon.start()

    def close(self) -> None:
        """End the iperf3 server."""
        self._daemon.stop()

    def start(self) -> None:
        """Let the traffic begin and wait until there is some."""
        before = len(self.received_mbit())
        self.server.inside(
            f"iperf3 --client {OUTSIDE_ADDRESS} --port {self._port} --time {_LONGEST_S}"
            f" --window 256K{self._options} > /tmp/iperf3.log 2>&1 & echo $! > /tmp/iperf3.pid")
        if not wait_until(lambda: len(self.received_mbit()) > before, _TIMEOUT_S):
            raise TestbedError(f"nothing arrives from {self.server.name}: {self._printed()}")

    def stop(self) -> None:
        """Let there be no more traffic."""
        self.server.inside("kill $(cat /tmp/iperf3.pid)")

    def received_mbit(self) -> list[float]:
        """What arrived in each whole interval until now, in Mbit/s; of one that is inbound, what
        was sent."""
        return [float(kbit) / 1000 for since, until, kbit in _LINE.findall(self._printed())
                if float(until) - float(since) > INTERVAL_S * 0.9]

    def _printed(self) -> str:
        log = self._daemon.log_file
        return log.read_text() if log.exists() else ""


@contextlib.contextmanager
def streams(
    layout: Layout, three: Sequence[Server], inbound: bool = False
) -> Iterator[list[Stream]]:
    """A stream for each server, its iperf3 server waiting; all are ended at the end."""
    made = [Stream(layout, server, number, inbound) for number, server in enumerate(three)]
    try:
        for stream in made:
            stream.open()
        yield made
    finally:
        for stream in made:
            # without its server the guest's iperf3 ends too
            stream.close()
