# SPDX-License-Identifier: Apache-2.0
"""The picture in README.rst shows what was measured, and nothing else."""

import pytest

from tools import before_after

PAGE = """
CPU
===

CPU shares, figure 5.5
----------------------
.. list-table:: Each phase
   :header-rows: 1

   * - phase
     - shares
   * - at first
     - VM1 100,
       VM2 300

Next
----
"""


def test_picture_is_up_to_date() -> None:
    readme = before_after.README.read_text()
    assert before_after.drawn(readme) == readme, "run python -m tools.before_after"


def test_each_change_gives_one_server_what_another_had() -> None:
    found = list(before_after.changes(before_after.MEASURED.read_text()))
    assert [change.resource for change in found] == [
        "memory", "CPU time", "disk writes", "network, sent"]
    for change in found:
        gained = {name: change.after[name] - had for name, had in change.before.items()}
        assert min(gained.values()) < 0 < max(gained.values()), change.resource
        assert abs(sum(gained.values())) < 0.05 * sum(change.before.values()), change.resource


def test_a_division_is_as_far_off_its_weights_as_was_measured() -> None:
    phase = ["at first", "VM1 1, VM2 3", "0 s", "VM1 -10.0 %, VM2 +3.0 %", "16.0 MiB/s"]
    parts = before_after._divided(phase)
    assert parts == {"VM1": pytest.approx(3.6), "VM2": pytest.approx(12.36)}


def test_a_table_is_found_in_its_section_alone() -> None:
    assert before_after._table(PAGE, "CPU shares, figure 5.5", "Each phase") == [
        ["at first", "VM1 100,\n       VM2 300"]]
    with pytest.raises(ValueError, match="no table 'Each phase' in 'Memory'"):
        before_after._table(PAGE, "Memory", "Each phase")
