# SPDX-License-Identifier: Apache-2.0
"""The fault matrix names tests that exist."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
MATRIX = (ROOT / "doc/source/contributor/faults.rst").read_text()
_ROW = re.compile(r"^   \* - (?P<fault>.*?)^     - (?P<promise>.*?)^     - (?P<tests>.*?)"
                  r"(?=^   \* - |^$|\Z)", re.MULTILINE | re.DOTALL)
_TEST = re.compile(r"``(tests/[\w/]+\.py)``")


def rows() -> list[dict[str, str]]:
    """Each fault with its promise and the tests that hold it, without the heads."""
    found = [each.groupdict() for each in _ROW.finditer(MATRIX)]
    return [each for each in found if each["fault"].strip() != "fault"]


def test_each_fault_has_a_promise_and_tests_that_exist() -> None:
    assert len(rows()) == MATRIX.count("\n   * - ") - MATRIX.count("\n   * - fault\n") > 40
    for row in rows():
        named = _TEST.findall(row["tests"])
        assert row["promise"].strip(), row
        assert named, row
        assert not _TEST.sub("", row["tests"]).strip(" ,\n"), row
        missing = [each for each in named if not (ROOT / each).is_file()]
        assert not missing, row


def test_what_is_named_judges() -> None:
    """It has tests, or a goal."""
    for name in set(_TEST.findall(MATRIX)):
        text = (ROOT / name).read_text()
        assert re.search(r"^ *def test_|Goal\(|verdict\(|^def main\(", text, re.MULTILINE), name
