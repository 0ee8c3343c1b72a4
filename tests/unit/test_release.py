# SPDX-License-Identifier: Apache-2.0
"""What virtual test hosts of another release of Debian are made from."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
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


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """What the trees of which environments were made need, and pip's last word for each; neither a
    Debian nor an environment is really made."""
    made = []

    def run_in(tree: Path, *command: str | Path) -> None:
        assert tree.name == "tree"
        if "venv" in command:
            Path(command[-1]).mkdir()
        if "pip" in command:
            source = Path(command[command.index("-C") + 1])
            made.append(((source / "setup.cfg").read_text(), str(command[-1])))

    monkeypatch.setattr(release, "bootstrap", lambda _name, tree, _names: tree.mkdir())
    monkeypatch.setattr(release, "_run_in", run_in)
    return made


def source(place: Path, needs: str) -> Path:
    place.mkdir()
    (place / "setup.cfg").write_text(needs)
    (place / "code.py").write_text(str(place))
    (place / ".git").mkdir()
    return place


def test_an_environment_is_good_for_every_tree_that_needs_the_same(
    tmp_path: Path, made: list[tuple[str, str]]
) -> None:
    trees = [source(tmp_path / name, needs) for name, needs in
             (("one", "a"), ("same", "a"), ("other", "b"))]
    places = [release.environment("trixie", tmp_path / "cache", tree, ["-r", "."], ["setup.cfg"])
              for tree in trees]
    assert made == [("a", "."), ("b", ".")]
    assert places[0] == places[1] != places[2]
    assert {path.name for path in trees[0].iterdir()} == {"setup.cfg", "code.py", ".git"}
    assert release.environment(
        "trixie", tmp_path / "cache", trees[0], ["."], ["setup.cfg"]) not in places


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


def test_of_several_that_need_it_at_once_one_makes_it(tmp_path: Path) -> None:
    made = []
    all_ask = threading.Barrier(3, timeout=30)

    def make(scratch: Path) -> Path:
        made.append(scratch)
        time.sleep(0.2)  # the others have looked by then
        (scratch / "thing").write_text("content")
        return scratch / "thing"

    def get() -> Path:
        all_ask.wait()
        return kept(tmp_path / "place", make)

    with ThreadPoolExecutor(3) as pool:
        assert {each.result() for each in [pool.submit(get) for _ in range(3)]} == {
            tmp_path / "place"}
    assert len(made) == 1


def test_nothing_is_kept_of_what_failed(tmp_path: Path) -> None:
    def fail(scratch: Path) -> Path:
        (scratch / "thing").touch()
        raise TestbedError("failed")

    with pytest.raises(TestbedError):
        kept(tmp_path / "place", fail)
    assert [path.name for path in tmp_path.iterdir()] == ["lock"]
