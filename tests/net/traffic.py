# SPDX-License-Identifier: Apache-2.0
"""iperf3 flows on one clock, and what of them has arrived when."""

import json
import os
import tempfile
import time
from functools import cached_property
from typing import Any

from tools.bed.namespace import Namespace
from tools.bed.site import EAGER, Guest, Nic, Site

#: For how long shares are measured.
MEASURED_S = 10 if os.environ.get("NOVA_QOS_TEST_SIZE") == "reduced" else 20
#: More than all may have together, and no more: who sends all he can takes the processors from
#: tests beside.
MUCH_MBIT = 400
_GRACE_S = 60
_DATAGRAM_BYTES = 1400


class Clock:
    """Seconds since it was made."""

    def __init__(self) -> None:
        self._began = time.monotonic()

    def now(self) -> float:
        return time.monotonic() - self._began

    def wait_until(self, moment_s: float) -> None:
        time.sleep(max(0.0, moment_s - self.now()))


class Flow:
    """One iperf3 client that sends for ``seconds``; figures are those of the receiving side."""

    def __init__(self, clock: Clock, sender: Namespace, seconds: int, *options: str) -> None:
        self._output = tempfile.TemporaryFile("w+")  # noqa: SIM115  # read when all is over
        self._clock = clock
        self._seconds = seconds
        self.began = clock.now()
        command = [*EAGER, "iperf3", "--json", "--get-server-output", "--interval", "0.1"]
        self._client = sender.start(
            *command, "--time", str(seconds), *options, output=self._output)

    def mbit(self, begin: float, end: float) -> float:
        """Payload that arrived between two moments of the clock, in Mbit/s."""
        return self._rate(self._arrivals, begin, end)

    def sent_mbit(self, begin: float, end: float) -> float:
        """Payload that was sent between two moments, in Mbit/s."""
        return self._rate([each["sum"] for each in self._result["intervals"]], begin, end)

    def silences(self, begin: float, end: float) -> list[float]:
        """Moments at which nothing arrived for one of iperf3's intervals."""
        return [
            round(self.began + each["start"], 1) for each in self._arrivals
            if begin <= self.began + each["start"] < end and each["bytes"] == 0
        ]

    def last_arrival(self) -> float:
        """The moment when the last payload had arrived."""
        return self.began + float(
            max(each["end"] for each in self._arrivals if each["bytes"]))

    def retransmits(self, begin: float, end: float) -> int:
        """Segments that TCP sent again between two moments."""
        return sum(
            each["sum"]["retransmits"] for each in self._result["intervals"]
            if begin <= self.began + each["sum"]["start"] < end
        )

    def _rate(self, intervals: list[dict[str, Any]], begin: float, end: float) -> float:
        moved = 0.0
        for each in intervals:
            first, last = self.began + each["start"], self.began + each["end"]
            overlap = min(last, end) - max(first, begin)
            if overlap > 0:
                moved += each["bytes"] * overlap / (last - first)
        return moved * 8 / (end - begin) / 1e6

    @property
    def _arrivals(self) -> list[dict[str, Any]]:
        return [each["sum"] for each in self._receiver["intervals"]]

    @property
    def _receiver(self) -> Any:
        is_client = self._result["start"]["test_start"]["reverse"]
        return self._result if is_client else self._result["server_output_json"]

    @cached_property
    def _result(self) -> Any:
        self._client.wait(timeout=self._seconds + _GRACE_S)
        self._output.seek(0)
        text = self._output.read()
        self._output.close()
        result = json.loads(text)
        assert "error" not in result, text[-2000:]
        assert "intervals" in result.get("server_output_json", {}), text[-2000:]
        return result


def send(
    clock: Clock,
    site: Site,
    guest: Guest,
    seconds: int,
    *,
    nic: Nic | None = None,
    udp_mbit: int | None = None,
    most_mbit: int | None = None,
    version: int = 4,
    greedy: bool = False,
    datagram_bytes: int = _DATAGRAM_BYTES,
) -> Flow:
    """Let a guest send to the outside world: UDP at a rate, or TCP, of which it has ``most_mbit``
    to send at most.

    TCP keeps no more waiting than the class can hold, so that nothing is lost and what arrives is
    what was sent; ``greedy``, it does as it likes.
    """
    nic = nic or guest.nics[0]
    address = nic.addresses[0 if version == 4 else 1]
    where = ["--client", site.target(version), "--port", str(nic.port), "--bind", address]
    # iperf3 of Debian 13 counts what has arrived by whole blocks
    bounded = [] if greedy or udp_mbit else ["--window", "256K", "--length", "8K"]
    return Flow(
        clock, guest.namespace, seconds, *where, "--bind-dev", nic.device,
        *_kind(udp_mbit, datagram_bytes), *_paced(most_mbit), *bounded)


def receive(
    clock: Clock, site: Site, guest: Guest, seconds: int, *, udp_mbit: int | None = None,
    most_mbit: int | None = None,
) -> Flow:
    """Let a guest receive from the outside world: UDP at a rate, or TCP, of which the outside has
    ``most_mbit`` to send at most."""
    (nic, *_) = guest.nics
    return Flow(
        clock, guest.namespace, seconds, "--reverse", "--client", site.target(), "--port",
        str(nic.port), "--bind", nic.addresses[0], "--bind-dev", nic.device, *_kind(udp_mbit),
        *_paced(most_mbit))


def send_from_host(clock: Clock, site: Site, seconds: int, udp_mbit: int) -> Flow:
    """Let the host itself send to the outside world."""
    where = ["--client", site.host_target, "--port", str(site.host_port)]
    return Flow(clock, site.host, seconds, *where, *_kind(udp_mbit))


def _kind(udp_mbit: int | None, datagram_bytes: int = _DATAGRAM_BYTES) -> list[str]:
    if udp_mbit is None:
        # the kernel's usual choice, whatever this machine's is
        return ["--congestion", "cubic"]
    return ["--udp", "--bitrate", f"{udp_mbit}M", "--length", str(datagram_bytes)]


def _paced(most_mbit: int | None) -> list[str]:
    return [] if most_mbit is None else ["--bitrate", f"{most_mbit}M"]
