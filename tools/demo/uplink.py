# SPDX-License-Identifier: Apache-2.0
"""The compute host's uplink as tc and nft show it."""

import re
import socket
import subprocess
import time
from dataclasses import dataclass

from tools.bed.stack.network import UPLINK
from tools.demo.errors import DemoFailed

#: The device that is looked at.
DEVICE = UPLINK
_TABLE = ("netdev", "nova_qos")
_CLASS = re.compile(
    r"^class htb (?P<id>\S+) .*?(?:quantum (?P<quantum>\d+) )?"
    r"rate (?P<rate>\S+) ceil (?P<ceil>\S+) .*\n"
    r" Sent (?P<sent>\d+) bytes .*\n backlog (?P<backlog>\w+)b ", re.MULTILINE)
_POLL_S = 0.1
_OURS = "htb 5ca1:"
_FIRST_WITHOUT = 0x8000  # the first class of the servers without a priority
# a class' turn is its weight, 99 less the priority, times a full frame with its tags
_MOST_WEIGHT, _FRAME = 99, 1522


@dataclass(frozen=True)
class Class:
    """A class of the uplink: its guaranteed rate, the rate it may reach, the bytes it may send in
    its turn (0 if it is no leaf), the bytes it has sent, and whether packets wait in it."""

    rate: str
    ceil: str
    quantum: int
    sent: int
    waits: bool


def root() -> str:
    """The uplink's root queueing discipline, such as ``noqueue 0:``."""
    printed = _run("tc", "qdisc", "show", "dev", DEVICE, "root")
    return " ".join(printed.split()[1:3])


def classes() -> dict[str, Class]:
    """The classes by their names, such as ``5ca1:10``."""
    printed = _run("tc", "-s", "-d", "class", "show", "dev", DEVICE)
    return {found["id"]: Class(found["rate"], found["ceil"], int(found["quantum"] or 0),
                               int(found["sent"]), found["backlog"] != "0")
            for found in _CLASS.finditer(printed)}


def idle_classes(seconds: float) -> set[str]:
    """Watch for so long; the classes that had no packet waiting at some time.

    One of them was not offered as much as it might have sent.
    """
    end = time.monotonic() + seconds
    idle: set[str] = set()
    while time.monotonic() < end:
        idle |= {name for name, each in classes().items() if not each.waits}
        time.sleep(_POLL_S)
    return idle


def class_of(mac: str) -> str | None:
    """The class that packets of this address are given."""
    printed = _run("nft", "list", "map", *_TABLE, "by_mac")
    found = re.search(rf"{mac} : (\S+?),?\s", printed)
    return found.group(1) if found else None


def mark_of(tap: str) -> str | None:
    """The class whose mark packets from this device are given."""
    chain = chain_of(tap)
    printed = _run("nft", "list", "table", *_TABLE)
    found = re.search(
        rf'chain {chain} {{\n.* ingress device "{tap}" .*\n\s*meta mark set 0x(\w{{4}})0*(\w+)\n',
        printed)
    return ":".join(found.groups()) if found else None


def chain_of(tap: str) -> str:
    """The chain of the device that has this name now."""
    # a chain may outlive the device that it was made for, and have another's number in its name
    return f"tap{socket.if_nametoindex(tap)}"


def priority_of(mac: str, tap: str) -> int | None:
    """The network priority of the server with these: -1 when it has none, None when tc and nft
    do not agree on its class."""
    name = class_of(mac) if has_table() else None
    if name is None:
        return -1 if root() != _OURS and not has_table() else None
    leaf = classes().get(name)
    if leaf is None or root() != _OURS or mark_of(tap) != name:
        return None
    return _priority(name, leaf)


def priority_by_mark(tap: str) -> int | None:
    """The network priority of the server with this device, which is asked of fewer programs: -1
    when it has none, None when its packets have no mark of a class."""
    name = mark_of(tap) if has_table() else None
    leaf = classes().get(name) if name else None
    return _priority(name, leaf) if name and leaf else None


def _priority(name: str, leaf: Class) -> int:
    # servers without a priority take what a server with the default weight would
    without = int(name.partition(":")[2], 16) >= _FIRST_WITHOUT
    return -1 if without else _MOST_WEIGHT - leaf.quantum // _FRAME


def has_table() -> bool:
    """Whether nft shows our table."""
    return " ".join(("table", *_TABLE)) in _run("nft", "list", "tables").splitlines()


def _run(*command: str) -> str:
    answer = subprocess.run(command, capture_output=True, text=True)
    if answer.returncode:
        raise DemoFailed(f"{' '.join(command)}: {answer.stderr.strip()}")
    return answer.stdout
