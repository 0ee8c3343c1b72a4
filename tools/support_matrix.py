# SPDX-License-Identifier: Apache-2.0
"""The support matrix, as tests that ran tell it.

``NOVA_QOS_RECORD=1 tools/test.sh ... | tee LOG`` has each tier tell what passed on what, and
``python -m tools.support_matrix LOG...`` takes that into ``doc/source/admin/support.json``, in
place of an earlier run of the same tier on the same versions. It also writes the tables of
``support.inc``; without a log, only these. A test compares them with the record.
"""

import json
import sys
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from nova_qos.resources import TABLE

_ADMIN = Path(__file__).parents[1] / "doc/source/admin"
RECORD, PAGE = _ADMIN / "support.json", _ADMIN / "support.inc"
BEGINS = "nova-qos-record: "

Run = dict[str, Any]


class Tier(NamedTuple):
    """What its tests work on, and which facts of the machine they depend on."""

    works_on: str
    facts: tuple[str, ...]


_HOST = ("cgroup", "kernel", "libvirt", "qemu")
TIERS = {
    "functional": Tier("nova's API and conductor; hosts in memory", ("nova", "python")),
    "net": Tier("the kernel, in network namespaces", ("kernel", "nftables")),
    "host": Tier("libvirt and small guests", (*_HOST, "python")),
    "vmhost": Tier("a host with systemd; Open vSwitch in the kernel",
                   (*_HOST, "nftables", "openvswitch", "python")),
    "cloud": Tier("a whole cloud; Open vSwitch in user space",
                  ("nova", *_HOST, "nftables", "openvswitch")),
}
_TITLES = {"nova": "nova", "cgroup": "cgroup", "kernel": "Linux", "libvirt": "libvirt",
           "qemu": "QEMU", "nftables": "nftables", "openvswitch": "Open vSwitch",
           "python": "Python"}


def taken(log: str, day: str) -> list[Run]:
    """The runs that a log tells of; a tier that ran in parts counts as one run."""
    runs: dict[tuple[Any, ...], Run] = {}
    for line in log.splitlines():
        if line.startswith(BEGINS):
            part = {"day": day, **json.loads(line.removeprefix(BEGINS))}
            before = runs.get(_key(part), {"tests": {}, "resources": {}})
            runs[_key(part)] = part | {
                "tests": _sum(before["tests"], part["tests"]),
                "resources": {
                    name: _sum(before["resources"].get(name, {}), part["resources"].get(name, {}))
                    for name in before["resources"] | part["resources"]}}
    return list(runs.values())


def _sum(before: dict[str, int], more: dict[str, int]) -> dict[str, int]:
    """Both counts in one."""
    return {name: before.get(name, 0) + more.get(name, 0) for name in before | more}


def merged(before: Iterable[Run], later: Iterable[Run]) -> list[Run]:
    """All runs, without those that a later one of the same tier and versions replaces."""
    runs = {_key(run): run for run in (*before, *later)}
    return [runs[key] for key in sorted(runs)]


def _key(run: Run) -> tuple[Any, ...]:
    return (list(TIERS).index(run["tier"]), *_facts(run).values())


def _facts(run: Run) -> dict[str, str]:
    """Those that the tier depends on."""
    return {name: run["facts"].get(name, "-") for name in TIERS[run["tier"]].facts}


def tables(runs: list[Run]) -> str:
    """What was tested, and what of each resource passed there."""
    numbered = list(enumerate(runs, start=1))
    return "".join((
        ".. Written by tools/support_matrix.py.\n\n",
        *_table("Runs", ["", "tests on", *_TITLES.values(), "passed", "day"], (
            [str(number), TIERS[run["tier"]].works_on,
             *(_facts(run).get(name, "") for name in _TITLES), _passed(run["tests"]), run["day"]]
            for number, run in numbered)),
        "\n", *_by_resource([(number, run) for number, run in numbered if run["resources"]])))


def _by_resource(numbered: list[tuple[int, Run]]) -> Iterator[str]:
    """The second table, of the runs that worked on a host."""
    if not numbered:
        yield "None of these runs worked on a host, so there is no second table yet.\n"
        return
    yield from _table(
        "Tests of each resource that passed in these runs",
        ["resource", *(str(number) for number, _ in numbered)], (
            [f"``{name}``", *(_passed(run["resources"].get(name, {})) for _, run in numbered)]
            for name in TABLE))


def _passed(counts: dict[str, int]) -> str:
    """Of those that ran; a dash where none did."""
    passed, failed = counts.get("passed", 0), counts.get("failed", 0)
    if not passed + failed:
        return "-"
    return f"{passed} of {passed + failed}" if failed else str(passed)


def _table(title: str, head: list[str], rows: Iterable[list[str]]) -> Iterator[str]:
    yield f".. list-table:: {title}\n   :header-rows: 1\n\n"
    for row in (head, *rows):
        for place, cell in enumerate(row):
            yield f"   {' ' if place else '*'} - {cell}".rstrip() + "\n"


def main(logs: list[str]) -> None:
    """Take these logs, and write record and tables."""
    today = datetime.now(UTC).date().isoformat()
    later = [run for log in logs for run in taken(Path(log).read_text(), today)]
    runs = merged(json.loads(RECORD.read_text()) if RECORD.exists() else [], later)
    RECORD.write_text(json.dumps(runs, indent=1, sort_keys=True) + "\n")
    PAGE.write_text(tables(runs))


if __name__ == "__main__":
    main(sys.argv[1:])
