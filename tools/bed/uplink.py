# SPDX-License-Identifier: Apache-2.0
"""A compute host's uplink as tc and nft show it."""

import re
import socket
import subprocess
import time
from dataclasses import dataclass

from .errors import TestbedError

_TABLE = ("netdev", "nova_qos")
_CLASS = re.compile(
    r"^class htb (?P<id>\S+) .*?(?:quantum (?P<quantum>\d+) )?"
    r"rate (?P<rate>\S+) ceil (?P<ceil>\S+) .*\n"
    r" Sent (?P<sent>\d+) bytes .*\n backlog (?P<backlog>\w+)b ", re.MULTILINE)
_POLL_S = 0.1
_OURS = "htb 5ca1:"
_STRAYS = "5ca1:fffe"  # there while servers share the uplink, and not only have limits
_FIRST_WITHOUT = 0x8000  # the first class of the servers without a priority
#: A class' turn is its weight times a full frame with its tags.
FRAME = 1522
#: A server's weight is this less its priority.
MOST_WEIGHT = 99


@dataclass(frozen=True)
class Class:
    """A class of the uplink: its guaranteed rate, the rate it may reach, the bytes it may send in
    its turn (0 if it is no leaf), the bytes it has sent, and whether packets wait in it."""

    rate: str
    ceil: str
    quantum: int
    sent: int
    waits: bool

    @property
    def weight(self) -> int:
        """Its weight among the servers, if it is a server's."""
        return self.quantum // FRAME


class Uplink:
    """The device of that name. Every method raises TestbedError when tc or nft refuses."""

    def __init__(self, device: str) -> None:
        self.device = device

    def root(self) -> str:
        """The uplink's root queueing discipline, such as ``noqueue 0:``."""
        printed = _run("tc", "qdisc", "show", "dev", self.device, "root")
        return " ".join(printed.split()[1:3])

    def classes(self) -> dict[str, Class]:
        """The classes by their names, such as ``5ca1:10``."""
        printed = _run("tc", "-s", "-d", "class", "show", "dev", self.device)
        return {found["id"]: Class(found["rate"], found["ceil"], int(found["quantum"] or 0),
                                   int(found["sent"]), found["backlog"] != "0")
                for found in _CLASS.finditer(printed)}

    def idle_classes(self, seconds: float) -> set[str]:
        """Watch for so long; the classes that had no packet waiting at some time.

        One of them was not offered as much as it might have sent.
        """
        end = time.monotonic() + seconds
        idle: set[str] = set()
        while time.monotonic() < end:
            idle |= {name for name, each in self.classes().items() if not each.waits}
            time.sleep(_POLL_S)
        return idle

    def class_of(self, mac: str) -> str | None:
        """The class that packets of this address are given."""
        printed = _run("nft", "list", "map", *_TABLE, "by_mac")
        found = re.search(rf"{mac} : (\S+?),?\s", printed)
        return found.group(1) if found else None

    def class_of_address(self, address: str) -> str | None:
        """The class that packets of this IPv4 address are given."""
        printed = _run("nft", "list", "map", *_TABLE, "by_address")
        found = re.search(rf"\b{re.escape(address)} : (\S+?),?\s", printed)
        return found.group(1) if found else None

    def mark_of(self, tap: str) -> str | None:
        """The class whose mark packets from this device are given."""
        printed = _run("nft", "list", "table", *_TABLE)
        found = re.search(
            rf'chain {self.chain_of(tap)} {{\n.* ingress device "{tap}" .*\n'
            r"\s*meta mark set (?:meta mark & 0x\w+ \| )?0x(\w+)\n", printed)
        if found is None:
            return None
        known = re.search(rf"\b0x0*{int(found[1], 16):x} : (5ca1:\w+)", printed)
        return known[1] if known else None

    @staticmethod
    def chain_of(tap: str) -> str:
        """The chain of the device that has this name now. Raises OSError when there is none."""
        # a chain may outlive the device that it was made for, with another's number in its name
        return f"tap{socket.if_nametoindex(tap)}"

    def priority_of(self, mac: str, tap: str) -> int | None:
        """The network priority of the server with this address and this device: -1 when it has
        none, None when tc and nft do not agree on its class."""
        name = self.class_of(mac) if self.has_table() else None
        if name is None:
            has_none = self.root() != _OURS and not self.has_table()
            return -1 if has_none or self._only_limits_others(tap) else None
        leaf = self.classes().get(name)
        if leaf is None or self.root() != _OURS or self.mark_of(tap) != name:
            return None
        return _priority(name, leaf)

    def _only_limits_others(self, tap: str) -> bool:
        """Whether tree and rules are those of other servers' limits."""
        return (self.root() == _OURS and self.has_table() and _STRAYS not in self.classes()
                and self.mark_of(tap) is None)

    def priority_by_mark(self, tap: str) -> int | None:
        """The network priority of the server with this device: -1 when it has none, None when its
        packets have no mark of a class. It starts fewer programs than ``priority_of``."""
        name = self.mark_of(tap) if self.has_table() else None
        leaf = self.classes().get(name) if name else None
        return _priority(name, leaf) if name and leaf else None

    def has_table(self) -> bool:
        """Whether nft shows our table."""
        return " ".join(("table", *_TABLE)) in _run("nft", "list", "tables").splitlines()


def _priority(name: str, leaf: Class) -> int:
    # servers without a priority take what a server with the default weight would
    without = int(name.partition(":")[2], 16) >= _FIRST_WITHOUT
    return -1 if without else MOST_WEIGHT - leaf.weight


def _run(*command: str) -> str:
    answer = subprocess.run(command, capture_output=True, text=True)
    if answer.returncode:
        raise TestbedError(f"{' '.join(command)}: {answer.stderr.strip()}")
    return answer.stdout
