# SPDX-License-Identifier: Apache-2.0
"""The compute host's uplink as tc and nft show it."""

import re
import subprocess
from dataclasses import dataclass

from stack.network import UPLINK

from demo.errors import DemoFailed

_TABLE = ("netdev", "nova_qos")
_CLASS = re.compile(
    r"^class htb (?P<id>\S+) .*rate (?P<rate>\S+) ceil (?P<ceil>\S+) .*\n Sent (?P<sent>\d+) bytes",
    re.MULTILINE)


@dataclass(frozen=True)
class Class:
    """A class of the uplink: its guaranteed rate, the rate it may reach, the bytes it has sent."""

    rate: str
    ceil: str
    sent: int


def root() -> str:
    """The uplink's root queueing discipline, such as ``noqueue 0:``."""
    printed = _run("tc", "qdisc", "show", "dev", UPLINK, "root")
    return " ".join(printed.split()[1:3])


def classes() -> dict[str, Class]:
    """The classes by their names, such as ``5ca1:10``."""
    printed = _run("tc", "-s", "class", "show", "dev", UPLINK)
    return {found["id"]: Class(found["rate"], found["ceil"], int(found["sent"]))
            for found in _CLASS.finditer(printed)}


def class_of(mac: str) -> str:
    """The class that packets of this address are given.

    :raises DemoFailed: none
    """
    printed = _run("nft", "list", "map", *_TABLE, "by_mac")
    found = re.search(rf"{mac} : (\S+?),?\s", printed)
    if not found:
        raise DemoFailed(f"nft list map shows no {mac}:\n{printed}")
    return found.group(1)


def has_table() -> bool:
    """Whether nft shows our table."""
    return " ".join(("table", *_TABLE)) in _run("nft", "list", "tables").splitlines()


def _run(*command: str) -> str:
    answer = subprocess.run(command, capture_output=True, text=True)
    if answer.returncode:
        raise DemoFailed(f"{' '.join(command)}: {answer.stderr.strip()}")
    return answer.stdout
