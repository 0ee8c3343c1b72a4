# SPDX-License-Identifier: Apache-2.0
"""Network priorities and limits of 5 servers and of hundreds, outbound and inbound, in namespaces
of their own, in one run.

Usage, as root: ``python -m tests.benchmark.network``
"""

import argparse
import itertools
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from pyroute2 import IPRoute, netns

from nova_qos.host import Interface, Interfaces
from nova_qos.net.direction import Direction
from nova_qos.net.inbound import Inbound
from nova_qos.net.outbound import Outbound
from tests.benchmark.compare import Comparison, Goal, Step, compare, report

FEW = 5
#: As many as one page of the list has.
_PAGE = 100
_RATE_MBIT = 10_000


class Namespace:
    """A network namespace with one uplink."""

    uplink = "uplink"

    def __init__(self) -> None:
        self._name = f"nova-qos-bench-{uuid.uuid4().hex[:8]}"
        netns.create(self._name)
        with self.entered(), IPRoute() as ipr:
            ipr.link("add", ifname=self.uplink, kind="veth", peer={"ifname": "outside"})
            for device in (self.uplink, "outside"):
                ipr.link("set", index=ipr.link_lookup(ifname=device)[0], state="up")

    @contextmanager
    def entered(self) -> Iterator[None]:
        """This thread and what it starts are in the namespace."""
        netns.pushns(self._name)
        try:
            yield
        finally:
            netns.popns()

    def step(self, work: Callable[[], object]) -> Step:
        """The work, done inside."""
        def inside() -> None:
            with self.entered():
                work()

        return inside

    def remove(self) -> None:
        netns.remove(self._name)


class Host(Namespace):
    """Servers with a tap and a priority each."""

    #: What is set of each server.
    resource, values = "net_priority", range(98)

    def __init__(self, count: int) -> None:
        super().__init__()
        self.running: dict[str, Interfaces] = {}
        self._values = itertools.cycle(self.values)
        with self.entered(), IPRoute() as ipr:
            for number in range(count):
                ipr.link("add", ifname=f"tap{number}", kind="tuntap", mode="tap")
                mac = f"fa:16:3e:00:{number >> 8:02x}:{number & 0xFF:02x}"
                self.running[str(uuid.uuid4())] = (Interface(mac, f"tap{number}"),)
            self.shaper = self.new_agent()
            for server in self.running:
                self.shaper.write(server, {self.resource: next(self._values)}, self.neighbours)

    def new_agent(self) -> Direction:
        """As after a start: nothing is known."""
        return Outbound((self.uplink,), _RATE_MBIT, default_weight=50)

    def neighbours(self) -> dict[str, Interfaces]:
        return self.running

    def change(self) -> None:
        """Another value for one server."""
        self.set(next(self._values))

    def set(self, value: int) -> None:
        server = next(iter(self.running))
        self.shaper.write(server, {self.resource: value}, self.neighbours)

    def tidy(self, shaper: Direction) -> None:
        """What the agent does at its start and every ten seconds."""
        shaper.tidy(self.neighbours, correct=True, floating={})

    def read_page(self) -> None:
        """The priorities of many servers, one after another."""
        for server, interfaces in itertools.islice(self.running.items(), _PAGE):
            self.shaper.read(server, interfaces)

    def read_page_at_once(self) -> None:
        """What the agent does for a page of the list."""
        seen = self.shaper.snapshot()
        for server, interfaces in itertools.islice(self.running.items(), _PAGE):
            seen.read(server, interfaces)

    def wipe(self) -> None:
        """Take tree and table away, as a person would by hand."""
        _run("tc", "qdisc", "delete", "dev", self.uplink, "root")
        _run("nft", "delete", "table", "netdev", "nova_qos")


class LimitedHost(Host):
    """Servers with a tap and a limit each, and no total."""

    resource, values = "net_limit", range(1000, 99_000, 1000)


class InboundHost(Host):
    """Servers with an inbound priority each."""

    resource = "net_in_priority"
    rate_mbit: int | None = _RATE_MBIT

    def new_agent(self) -> Direction:
        return Inbound(self.rate_mbit, default_weight=50)


class InboundLimitedHost(InboundHost):
    """Servers with an inbound limit each, and no total."""

    resource, values, rate_mbit = "net_in_limit", LimitedHost.values, None


#: Each is measured with few servers and with many.
_KINDS: tuple[type[Host], ...] = (Host, LimitedHost, InboundHost, InboundLimitedHost)


class Thesis(Namespace):
    """The way of the thesis: a tree torn down and made again by ``tc`` commands, with a filter for
    each server's address."""

    def __init__(self, count: int) -> None:
        super().__init__()
        self._count = count

    def rebuild(self) -> None:
        """What one change of one server's priority takes."""
        on = ("dev", self.uplink)
        _run("tc", "qdisc", "replace", *on, "root", "pfifo")
        _run("tc", "qdisc", "replace", *on, "root", "handle", "1:", "htb")
        _run("tc", "class", "add", *on, "parent", "1:", "classid", "1:1", "htb", "rate",
             f"{_RATE_MBIT}mbit", "quantum", "60000")
        for number in range(self._count):
            minor = f"1:{number + 16:x}"
            _run("tc", "class", "add", *on, "parent", "1:1", "classid", minor, "htb", "rate",
                 "20mbit", "ceil", f"{_RATE_MBIT}mbit", "quantum", "60000")
            address = f"10.0.{number >> 8}.{number & 0xFF}/32"
            _run("tc", "filter", "add", *on, "parent", "1:", "protocol", "ip", "prio", "1", "u32",
                 "match", "ip", "src", address, "flowid", minor)


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--servers", type=int, default=500, help="as many as many are")
    options = parser.parse_args()
    pairs = [(kind(FEW), kind(options.servers)) for kind in _KINDS]
    thesis = Thesis(options.servers)
    try:
        sys.exit(_report(pairs, thesis, options.servers, options.rounds))
    finally:
        for each in (*itertools.chain.from_iterable(pairs), thesis):
            each.remove()


def _changes(pairs: list[tuple[Host, Host]], count: int, rounds: int) -> Iterator[Comparison]:
    for few, many in pairs:
        yield compare(f"one {many.resource} changed, {count} / {FEW} servers with one",
                      many.step(many.change), few.step(few.change), Goal(1.5), rounds)


def _report(
    pairs: list[tuple[Host, Host]], thesis: Thesis, count: int, rounds: int
) -> int:
    few, many = pairs[0]
    rebuild = thesis.step(thesis.rebuild)
    return report(itertools.chain(_changes(pairs, count, rounds), [
        compare(f"one priority set where there was none, {count} / {FEW}",
                many.step(lambda: many.set(10)), few.step(lambda: few.set(10)), Goal(3), rounds,
                many.step(lambda: many.set(-1)), few.step(lambda: few.set(-1))),
        compare(f"one priority changed, of {count} / all made anew with tc",
                many.step(many.change), rebuild, None, 3),
        compare(f"{count} servers applied, nothing there / made anew with tc",
                many.step(lambda: many.tidy(many.shaper)), rebuild, Goal(5000, "ms"), 3,
                before_ours=many.step(many.wipe)),
        compare(f"start of the agent, {count} / {FEW} servers in place",
                many.step(lambda: many.tidy(many.new_agent())),
                few.step(lambda: few.tidy(few.new_agent())), Goal(5000, "ms"), 5),
        compare(f"{_PAGE} priorities of {count} in a snapshot / one by one",
                many.step(many.read_page_at_once), many.step(many.read_page), Goal(1000, "ms"), 1),
    ]))


if __name__ == "__main__":
    main()
