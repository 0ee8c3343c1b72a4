# SPDX-License-Identifier: Apache-2.0
"""Marks that are yet to be saved outlive the agent that noted them."""

from pathlib import Path

import pytest

from nova_qos.agent.owed import Owed
from nova_qos.core.errors import HostCannot


def test_what_was_noted_is_known_to_the_next_agent_and_overdue_at_once(tmp_path: Path) -> None:
    directory = str(tmp_path / "state")
    first = Owed(directory)
    first.note({"one": ["memory", "io_limit"], "two": ["memory"], "three": []})
    first.note({"two": ["io_limit"]})
    assert first.overdue() == []
    second = Owed(directory)
    assert second.of("one") == second.of("two") == {"memory", "io_limit"}
    assert (second.of("three"), second.overdue()) == (frozenset(), ["one", "two"])


def test_nothing_is_left_of_what_was_settled(tmp_path: Path) -> None:
    owed = Owed(str(tmp_path))
    owed.note({"one": ["memory", "io_limit"], "two": ["memory"]})
    owed.settle("one", ["memory"])
    assert owed.of("one") == {"io_limit"}
    for server in ("one", "two", "three"):
        owed.settle(server, owed.of(server))
    assert list(tmp_path.iterdir()) == []
    assert Owed(str(tmp_path)).overdue() == []


@pytest.mark.parametrize("text", ["", "[]", "5", '{"one": 5}'])
def test_a_file_that_cannot_be_read_costs_no_start(tmp_path: Path, text: str) -> None:
    (tmp_path / "marks.json").write_text(text)
    assert Owed(str(tmp_path)).overdue() == []


def test_nothing_is_noted_where_that_cannot_be_kept(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for directory in (None, str(tmp_path / "file")):
        owed = Owed(directory)
        with pytest.raises(HostCannot):
            owed.note({"one": ["memory"]})
        owed.note({"one": []})
        assert owed.of("one") == frozenset()
