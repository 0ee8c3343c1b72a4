# SPDX-License-Identifier: Apache-2.0
"""What a server's actions tell of its settings."""

import pytest

from nova_qos.core.server import Entry, Flavor
from nova_qos.instances import journal
from nova_qos.resources import TABLE

STAMP, FLAVOR = 1790000000000, Flavor(memory_mib=4 * 2**20)
#: nova's column for an action's message.
LONGEST = 255


@pytest.mark.parametrize("changes", [
    {"cpu_priority": Entry(2048, stamp=STAMP)},
    {"memory": Entry(marked=True, stamp=STAMP), "net_priority": Entry(-1, stamp=STAMP)},
    {"io_priority": Entry(stamp=STAMP)},
])
def test_changes_come_back(changes: dict[str, Entry]) -> None:
    assert journal.read(journal.line(changes)) == changes


def test_a_line_is_as_older_releases_wrote_it() -> None:
    changes = {"cpu_priority": Entry(2048, stamp=STAMP), "memory": Entry(marked=True, stamp=STAMP)}
    assert journal.line(changes) == f"qos {STAMP} cpu=2048 mem=lifted"


@pytest.mark.parametrize("message", [
    None, "", "Error", "qos", "qos 5", "qos x cpu=1", "qos 5 cpu=", "qos 5 cpu=1 ", "qos 5 cpu=1;",
    "qos 5 cpu=high", "qos 5 cpu=--1", "qos 5 cpu=1=2"])
def test_what_is_no_line_of_ours_tells_nothing(message: str | None) -> None:
    assert journal.read(message) == {}


def test_a_resource_of_a_newer_release_is_passed_over() -> None:
    assert journal.read("qos 5 gpu=7 cpu=9") == {"cpu_priority": Entry(9, stamp=5)}


def test_a_change_of_everything_fits() -> None:
    everything = {name: Entry(max(row.value.range_of(FLAVOR), key=lambda each: len(str(each))),
                              stamp=10**13) for name, row in TABLE.items()}
    assert len(journal.line(everything)) <= LONGEST
