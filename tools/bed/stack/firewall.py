# SPDX-License-Identifier: Apache-2.0
"""neutron's chains in the machine's tables of packet rules: taken away with the cloud.

neutron's agents leave theirs in place when they stop, for the good of running servers. Chains that
were there before the cloud are another neutron's, and stay.
"""

import json
import shlex
from pathlib import Path

from tools.bed.errors import TestbedError
from tools.bed.stack.layout import Layout
from tools.bed.stack.shell import run, try_run

_PROGRAMS = ("iptables", "ip6tables")
_TABLES = ("raw", "mangle", "nat", "filter")
_PREFIX = "neutron-"


def remember(layout: Layout) -> None:
    """Note which chains are there before the cloud is."""
    _note(layout).write_text(json.dumps(sorted(
        f"{program} {table} {chain}" for program in _PROGRAMS for table in _TABLES
        for chain in _chains(_rules(program, table)))))


def clear(layout: Layout) -> None:
    """Delete the chains that came with the cloud, and the rules that lead there."""
    if not _note(layout).exists():
        return
    before = set(json.loads(_note(layout).read_text()))
    for program in _PROGRAMS:
        for table in _TABLES:
            rules = _rules(program, table)
            ours = {chain for chain in _chains(rules)
                    if f"{program} {table} {chain}" not in before}
            _delete((program, "--wait", "-t", table), rules, ours)


def _delete(command: tuple[str, ...], rules: list[list[str]], ours: set[str]) -> None:
    for rule in rules:
        if rule[0] == "-A" and rule[1] not in ours and ours.intersection(rule[2:]):
            try_run(*command, "-D", *rule[1:])
    for option in ("-F", "-X"):
        for chain in sorted(ours):
            try_run(*command, option, chain)


def _rules(program: str, table: str) -> list[list[str]]:
    try:
        lines = run(program, "--wait", "-t", table, "-S").splitlines()
    except TestbedError:
        # a kernel without IPv6 has no such table
        return []
    return [shlex.split(line) for line in lines]


def _chains(rules: list[list[str]]) -> list[str]:
    return [rule[1] for rule in rules if rule[0] == "-N" and rule[1].startswith(_PREFIX)]


def _note(layout: Layout) -> Path:
    return layout.state / "chains-before.json"
