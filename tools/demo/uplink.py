# SPDX-License-Identifier: Apache-2.0
"""The compute host's uplink as tc and nft show it."""

import re
import socket
import subprocess
import time
from dataclasses import dataclass

from stack.network import UPLINK

from demo.errors import DemoFailed

_TABLE = ("netdev", "nova_qos")
_CLASS = re.compile(
    r"^class htb (?P<id>\S+) .*rate (?P<rate>\S+) ceil (?P<ceil>\S+) .*\n"
    r" Sent (?P<sent>\d+) bytes .*\n backlog (?P<backlog>\w+)b ", re.MULTILINE)
_POLL_S = 0.1


@dataclass(frozen=True)
class Class:
    """A class of the uplink: its guaranteed rate, the rate it may reach, the bytes it has sent,
    and whether packets wait in it."""

    rate: str
    ceil: str
    sent: int
    waits: bool


def root() -> str:
    """The uplink's root queueing discipline, such as ``noqueue 0:``."""
    printed = _run("tc", "qdisc", "show", "dev", UPLINK, "root")
    return " ".join(printed.split()[1:3])


def classes() -> dict[str, Class]:
    """The classes by their names, such as ``5ca1:10``."""
    printed = _run("tc", "-s", "class", "show", "dev", UPLINK)
    return {found["id"]: Class(found["rate"], found["ceil"], int(found["sent"]),
                               found["backlog"] != "0")
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
    # a chain may outlive the device that it was made for, and have another's number in its name
    chain = f"tap{socket.if_nametoindex(tap)}"
    printed = _run("nft", "list", "table", *_TABLE)
    found = re.search(
        rf'chain {chain} {{\n.* ingress device "{tap}" .*\n\s*meta mark set 0x(\w{{4}})0*(\w+)\n',
        printed)
    return ":".join(found.groups()) if found else None


def has_table() -> bool:
    """Whether nft shows our table."""
    return " ".join(("table", *_TABLE)) in _run("nft", "list", "tables").splitlines()


def _run(*command: str) -> str:
    answer = subprocess.run(command, capture_output=True, text=True)
    if answer.returncode:
        raise DemoFailed(f"{' '.join(command)}: {answer.stderr.strip()}")
    return answer.stdout
