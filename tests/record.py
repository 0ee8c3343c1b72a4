# SPDX-License-Identifier: Apache-2.0
"""Notes what passed on what, for the support matrix: a line of JSON at the end of a run, which
``tools/support_matrix.py`` takes from its log.

A test that shows that a resource works on the real thing has a mark, such as
``@pytest.mark.resources("cpu_limit")``. A name may have a parameter of the test in it:
``{way}limit``.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator

import pytest

from nova_qos.resources import TABLE
from tests.facts import facts

#: The variable that asks for the line, and what the line begins with.
WANTED, BEGINS = "NOVA_QOS_RECORD", "nova-qos-record: "
MARK = "resources"
#: Directories of the tests whose API, kernel or libvirt is real.
TIERS = ("functional", "net", "host", "vmhost", "cloud")


def resources_of(item: pytest.Item) -> list[str]:
    """Those that the test shows to work.

    :raises UsageError: a mark names what is no resource
    """
    given = getattr(getattr(item, "callspec", None), "params", {})
    names = {name.format_map(given) for mark in item.iter_markers(MARK) for name in mark.args}
    if unknown := names - TABLE.keys():
        raise pytest.UsageError(f"{item.nodeid}: no such resource: {', '.join(sorted(unknown))}")
    return sorted(names)


class Record:
    """Counts tests by their tier."""

    def __init__(self) -> None:
        self._tests: dict[str, Counter[str]] = defaultdict(Counter)
        self._resources: dict[str, dict[str, Counter[str]]] = defaultdict(
            lambda: defaultdict(Counter))

    def note(self, report: pytest.TestReport) -> None:
        """Count a test once: where it was called, or failed or was skipped before or after."""
        tier = next((each for each in TIERS if report.nodeid.startswith(f"tests/{each}/")), None)
        if tier is None or (report.when != "call" and report.passed):
            return
        self._tests[tier][report.outcome] += 1
        for name, value in report.user_properties:
            if name == MARK:
                self._resources[tier][str(value)][report.outcome] += 1

    def lines(self) -> Iterator[str]:
        """One for each tier that ran."""
        for tier, counts in self._tests.items():
            yield BEGINS + json.dumps({
                "tier": tier, "facts": facts(tier), "tests": _told(counts),
                "resources": {name: _told(each)
                              for name, each in sorted(self._resources[tier].items())}})


def _told(counts: Counter[str]) -> dict[str, int]:
    return {outcome: counts[outcome] for outcome in ("passed", "failed", "skipped")}


def attach(items: Iterable[pytest.Item]) -> None:
    """Let each report carry the resources of its test, also from another process."""
    for item in items:
        item.user_properties.extend((MARK, name) for name in resources_of(item))
