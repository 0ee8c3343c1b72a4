# SPDX-License-Identifier: Apache-2.0
"""Network priorities of 5 and of 500 servers, in a network namespace of its own, in one run.

Usage, as root: ``python -m tests.benchmark.network``
"""

import argparse
import itertools
import subprocess
import uuid
from collections.abc import Iterator
from contextlib import contextmanager

from pyroute2 import IPRoute, netns

from nova_qos.model import Interface, Interfaces
from nova_qos.net.layout import classid
from nova_qos.net.shaper import Shaper
from tests.benchmark.compare import HEADER, compare

FEW, MANY = 5, 500
_RATE_MBIT = 10_000


class Host:
    """An uplink and servers with a tap each."""

    def __init__(self, ipr: IPRoute, name: str, count: int) -> None:
        self.uplink = f"up-{name}"
        ipr.link("add", ifname=self.uplink, kind="veth", peer={"ifname": f"out-{name}"})
        for device in (self.uplink, f"out-{name}"):
            ipr.link("set", index=ipr.link_lookup(ifname=device)[0], state="up")
        self.running: dict[str, Interfaces] = {}
        for number in range(count):
            tap = f"tap-{name}{number}"
            ipr.link("add", ifname=tap, kind="tuntap", mode="tap")
            mac = f"fa:16:3e:00:{number >> 8:02x}:{number & 0xFF:02x}"
            self.running[str(uuid.uuid4())] = (Interface(mac, tap),)
        self.table = f"nova_qos_{name}"
        self.shaper = self.new_agent()

    def new_agent(self) -> Shaper:
        """As after a start: nothing is known."""
        return Shaper((self.uplink,), _RATE_MBIT, default_weight=50, table=self.table)

    def neighbours(self) -> dict[str, Interfaces]:
        return self.running

    def set_all(self) -> None:
        """A priority for every server."""
        for number, server in enumerate(self.running):
            self.shaper.write_priority(server, number % 98, self.neighbours)

    def wipe(self) -> None:
        """Take tree and table away, as a person would by hand."""
        _run("tc", "qdisc", "delete", "dev", self.uplink, "root")
        _run("nft", "delete", "table", "netdev", self.table)


class Thesis:
    """One uplink in the way of the thesis: a tree torn down and made again by ``tc`` commands, with
    a filter for each server's address."""

    def __init__(self, ipr: IPRoute, count: int) -> None:
        self._count = count
        ipr.link("add", ifname="up-thesis", kind="veth", peer={"ifname": "out-thesis"})
        ipr.link("set", index=ipr.link_lookup(ifname="up-thesis")[0], state="up")
        _run("tc", "qdisc", "add", "dev", "up-thesis", "root", "handle", "1:", "htb")

    def rebuild(self) -> None:
        """What one change of one server's priority takes."""
        on = ("dev", "up-thesis")
        _run("tc", "qdisc", "delete", *on, "root")
        _run("tc", "qdisc", "add", *on, "root", "handle", "1:", "htb")
        _run("tc", "class", "add", *on, "parent", "1:", "classid", "1:1", "htb", "rate",
             f"{_RATE_MBIT}mbit", "quantum", "60000")
        for number in range(self._count):
            minor = f"1:{classid(number + 16) & 0xFFFF:x}"
            _run("tc", "class", "add", *on, "parent", "1:1", "classid", minor, "htb", "rate",
                 "20mbit", "ceil", f"{_RATE_MBIT}mbit", "quantum", "60000")
            address = f"10.0.{number >> 8}.{number & 0xFF}/32"
            _run("tc", "filter", "add", *on, "parent", "1:", "protocol", "ip", "prio", "1", "u32",
                 "match", "ip", "src", address, "flowid", minor)


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True)


@contextmanager
def namespace() -> Iterator[IPRoute]:
    """A namespace of this run, entered and in the end removed."""
    name = f"nova-qos-bench-{uuid.uuid4().hex[:8]}"
    netns.create(name)
    netns.pushns(name)
    try:
        with IPRoute() as ipr:
            yield ipr
    finally:
        netns.popns()
        netns.remove(name)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=30)
    rounds = parser.parse_args().rounds
    with namespace() as ipr:
        few, many = Host(ipr, "few", FEW), Host(ipr, "many", MANY)
        thesis = Thesis(ipr, MANY)
        few.set_all()
        many.set_all()
        priorities = itertools.cycle(range(98))

        def change(host: Host) -> None:
            server = next(iter(host.running))
            host.shaper.write_priority(server, next(priorities), host.neighbours)

        def join(host: Host, priority: int) -> None:
            server = next(iter(host.running))
            host.shaper.write_priority(server, priority, host.neighbours)

        print(HEADER)
        for row in (
            compare(f"one priority changed, {MANY} / {FEW} servers",
                    lambda: change(many), lambda: change(few), "<= 3", rounds),
            compare(f"one priority set where there was none, {MANY} / {FEW} servers",
                    lambda: join(many, 10), lambda: join(few, 10), "<= 3", rounds,
                    before_ours=lambda: join(many, -1), before_baseline=lambda: join(few, -1)),
            compare(f"one priority changed / all of {MANY} made anew with tc",
                    lambda: change(many), thesis.rebuild, "", 3),
            compare(f"{MANY} servers applied again, nothing there / made anew with tc",
                    lambda: many.shaper.tidy(many.neighbours), thesis.rebuild, "<= 5 s", 3,
                    before_ours=many.wipe),
            compare(f"start of the agent with {MANY} / {FEW} servers in place",
                    lambda: many.new_agent().tidy(many.neighbours),
                    lambda: few.new_agent().tidy(few.neighbours), "<= 5 s", 5),
        ):
            print(row.row(), flush=True)


if __name__ == "__main__":
    main()
