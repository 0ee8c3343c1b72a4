# SPDX-License-Identifier: Apache-2.0
"""What is noted of changes of several servers together."""

from pathlib import Path

import pytest

from nova_qos.agent.unfinished import Unfinished
from nova_qos.core import errors

SERVERS = {"one": ["cpu_priority", "memory"], "two": ["memory"]}


def test_a_change_is_not_due_while_somebody_is_at_work_on_it(tmp_path: Path) -> None:
    unfinished = Unfinished(str(tmp_path / "state"))
    unfinished.begin(SERVERS, for_s=60)
    assert unfinished.due() == {}


def test_it_is_due_afterwards_and_then_gone(tmp_path: Path) -> None:
    unfinished = Unfinished(str(tmp_path))
    unfinished.begin(SERVERS, for_s=0)
    (path, found), = unfinished.due().items()
    assert found == SERVERS
    unfinished.end(path)
    assert unfinished.due() == {}
    assert list(tmp_path.iterdir()) == []


def test_a_later_agent_finds_it_at_once(tmp_path: Path) -> None:
    Unfinished(str(tmp_path)).begin(SERVERS, for_s=60)
    assert list(Unfinished(str(tmp_path)).due().values()) == [SERVERS]


@pytest.mark.parametrize("text", ["", "[]", "[1]", "null", '{"one": 5}', "\x00"])
def test_one_that_cannot_be_read_names_no_server(tmp_path: Path, text: str) -> None:
    (tmp_path / "together-1.json").write_text(text)
    assert list(Unfinished(str(tmp_path)).due().values()) == [{}]


def test_no_place_to_note_it(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(errors.HostCannot, match="state_directory"):
        Unfinished(str(tmp_path / "file/below")).begin(SERVERS, for_s=0)
    assert Unfinished(str(tmp_path / "nowhere")).due() == {}
