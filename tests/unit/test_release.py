# SPDX-License-Identifier: Apache-2.0
"""What virtual test hosts of another release of Debian are made from."""

from pathlib import Path

import pytest

from tools.bed import release
from tools.bed.errors import TestbedError
from tools.bed.kept import kept

_SOURCES = """\
Types: deb
URIs: http://mirror.example/debian
Suites: {0} {0}-updates
Components: main
"""
_LINE = "deb http://mirror.example/debian-security {0}-security main\n"


@pytest.fixture
def apt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What stands in for this machine's settings of apt; its own release is bookworm."""
    apt = tmp_path / "apt"
    (apt / "sources.list.d").mkdir(parents=True)
    (apt / "sources.list.d" / "others.sources").write_text("URIs: http://elsewhere.example\n")
    monkeypatch.setattr(release, "_APT", apt)
    monkeypatch.setattr(release, "own", lambda: "bookworm")
    return apt


@pytest.mark.parametrize("name", ["bookworm", "trixie"])
def test_a_release_comes_from_where_the_machines_own_does(
    apt: Path, tmp_path: Path, name: str
) -> None:
    (apt / "sources.list").write_text(_LINE.format("bookworm"))
    (apt / "sources.list.d" / "debian.sources").write_text(_SOURCES.format("bookworm"))
    made = {path.name: path.read_text() for path in release._sources(name, tmp_path)}
    assert made == {"sources.list": _LINE.format(name), "debian.sources": _SOURCES.format(name)}


def test_an_empty_list_is_no_source(apt: Path, tmp_path: Path) -> None:
    (apt / "sources.list").write_text("\n")
    assert release._sources("trixie", tmp_path) == []


def test_what_is_kept_is_made_once(tmp_path: Path) -> None:
    made = []

    def make(scratch: Path) -> Path:
        made.append(scratch)
        (scratch / "left").touch()
        (scratch / "thing").write_text("content")
        return scratch / "thing"

    place = tmp_path / "below" / "place"
    assert kept(place, make) == kept(place, make) == place
    assert place.read_text() == "content"
    assert len(made) == 1
    assert {path.name for path in place.parent.iterdir()} == {"place", "lock"}


def test_nothing_is_kept_of_what_failed(tmp_path: Path) -> None:
    def fail(scratch: Path) -> Path:
        (scratch / "thing").touch()
        raise TestbedError("failed")

    with pytest.raises(TestbedError):
        kept(tmp_path / "place", fail)
    assert [path.name for path in tmp_path.iterdir()] == ["lock"]
