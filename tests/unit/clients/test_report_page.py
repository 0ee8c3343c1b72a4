# SPDX-License-Identifier: Apache-2.0
"""The page of a host's report, and the file that it is written to."""

import os
import re
import resource
import signal
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nova_qos.client import Host, HostState
from nova_qos.errors import QosError
from novaclient_qos.report import plots, whole_file
from novaclient_qos.report.figures import figures
from novaclient_qos.report.history import History, Received, Span
from novaclient_qos.report.page import page
from tests.unit.clients import hosts
from tests.unit.clients.answers import listed
from tests.unit.clients.policies import by, qos

MADE = datetime(2026, 1, 31, 12, tzinfo=UTC)
HOUR = Span.parse("1h")
#: What the page is made of, the drawings' own elements among it.
TAGS = {"html", "head", "meta", "title", "style", "body", "h1", "h2", "p", "div", "table", "tr",
        "th", "td", "figure", "figcaption", "svg", "defs", "g", "path", "use", "text", "tspan",
        "clippath", "rect"}


class Seen(HTMLParser):
    """The elements, attributes and texts of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.texts: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs

    def handle_data(self, data: str) -> None:
        self.texts.append(data.strip())


def made(*names: str | None, history: History | None = None, **changed: Any) -> str:
    report = qos(cpu_priority=by("policy gold", 1024, reason="<i>reason</i>"))
    for each in report.values():
        each["weight"] = 1024
    servers = [listed(f"id{place}", name or "", report) | {"name": name}
               for place, name in enumerate(names)]
    state = HostState.of(hosts.short("<b>host</b>") | changed)
    return page(figures(state, Host("host", 4, 8192, servers), history), MADE)


def past(*ids: str, **more: Any) -> History:
    return History("http://p", HOUR, "j", "<u>i</u>", data_hours=1.0, received={
        each: Received(25.0, 20.0, 0.8, 0.7, 15.0, 0.5) for each in ids}, steal={
        each: [(1e9, 1.0), (1e9 + 60, None), (1e9 + 120, 30.0)] for each in ids}, **more)


def test_it_has_plots_and_tables() -> None:
    written = made("web", "db", history=past("id0", "id1"))
    seen = Seen(written)
    assert (seen.tags.count("svg"), seen.tags.count("table")) == (3, 3)
    for text in ("promised", "received", "percent of the time with work", "1000 of 9000 MiB",
                 "policy gold (3)", "0.80", "2026-01-31 12:00 UTC"):
        assert text in seen.texts, text
    assert set(seen.tags) <= TAGS
    # no two drawings share an id that one of them refers to
    referred = [set(re.findall(r'(?:url\(|href=")#([\w-]+)', part))
                for part in written.split("<svg")[1:]]
    assert not set.intersection(*referred)


def test_it_needs_nothing_from_elsewhere() -> None:
    seen = Seen(made("web", history=past("id0")))
    for name, value in seen.attributes:
        assert not name.startswith("on"), name
        if name in ("href", "src", "xlink:href", "action", "style", "clip-path"):
            assert "//" not in (value or ""), value
            assert "url(" not in (value or "").replace("url(#", ""), value
    assert ("content", "default-src 'none'; style-src 'unsafe-inline'") in seen.attributes


def test_without_a_history() -> None:
    seen = Seen(made("web"))
    assert seen.tags.count("svg") == 2
    assert "promised" in seen.texts
    assert "received" not in seen.texts


def test_a_prometheus_that_knows_nothing() -> None:
    seen = Seen(made("web", history=History("http://p", HOUR, reason="nothing is there")))
    assert "http://p cannot tell what was received: nothing is there" in seen.texts
    assert seen.tags.count("svg") == 2


def test_an_empty_host_of_which_nobody_knows_anything() -> None:
    seen = Seen(page(figures(HostState.of(hosts.away()), Host("two", 0, 0, [])), MADE))
    assert "None." in seen.texts
    assert "svg" not in seen.tags


def test_a_host_with_many_servers() -> None:
    names = [f"server{place}" for place in range(200)]
    ids = [f"id{place}" for place in range(200)]
    written = made(*names, history=past(*ids))
    assert "40 of 200 servers are shown" in written
    assert "8 of 200 servers are shown" in written
    assert len(written) < 2**20


@pytest.mark.parametrize("name", [
    "<b>x</b>", "<script>alert(1)</script>", "$x_1$", "$\\frac{", "_hidden", "a & b", "--><b>",
    "]]><b>", '"><svg onload="x">', "\x00\x1b[31m\r\n", "\u65e5\u672c", "\U0001f600", "\ud800", "",
    "%s {0} \\", "x" * 300])
def test_names_are_escaped(name: str) -> None:
    seen = Seen(made(name, history=past("id0")))
    assert set(seen.tags) <= TAGS
    assert "b" not in seen.tags
    shown = "".join(each if each.isprintable() else "\ufffd" for each in name) or "id0"
    assert shown.strip() in seen.texts


@settings(max_examples=25)
@given(st.text(max_size=40))
def test_no_name_leaves_its_place(name: str) -> None:
    seen = Seen(made(name, history=past("id0"), reasons=[name], agent="down", reason=name))
    assert set(seen.tags) <= TAGS
    assert {name for name, _value in seen.attributes if name.startswith("on")} == set()


@given(st.lists(st.tuples(st.floats(0, 1e15), st.floats(0, 1e15)), min_size=1, max_size=3))
@settings(max_examples=10)
def test_huge_figures_are_drawn(found: list[tuple[float, float]]) -> None:
    drawn = plots.pairs([("web", *each) for each in found], "percent", "about")
    assert drawn.startswith("<svg")
    assert drawn.rstrip().endswith("</svg>")


class TestFile:
    def test_it_is_written_with_the_usual_rights(self, tmp_path: Path) -> None:
        before = os.umask(0o027)
        try:
            whole_file.write(tmp_path / "new", "text\u65e5\ud800\n")
        finally:
            os.umask(before)
        assert (tmp_path / "new").read_text() == "text\u65e5?\n"
        assert (tmp_path / "new").stat().st_mode & 0o777 == 0o640

    def test_what_was_there_is_replaced_whole(self, tmp_path: Path) -> None:
        there, link = tmp_path / "there", tmp_path / "link"
        there.write_text("old")
        there.chmod(0o604)
        link.symlink_to(there)
        with there.open() as reader:
            whole_file.write(link, "new")
            assert reader.read() == "old"
        assert (there.read_text(), there.stat().st_mode & 0o777) == ("new", 0o604)
        assert link.is_symlink()
        assert sorted(each.name for each in tmp_path.iterdir()) == ["link", "there"]

    @pytest.mark.parametrize(("name", "words"), [
        ("missing/file", "No such file or directory"), ("", "no regular file"),
        ("pipe", "no regular file"), ("x" * 300, "File name too long")])
    def test_what_cannot_be_written(self, name: str, words: str, tmp_path: Path) -> None:
        os.mkfifo(tmp_path / "pipe")
        with pytest.raises(QosError, match=words) as failed:
            whole_file.write(tmp_path / name, "text")
        assert str(tmp_path / name) in failed.value.message
        assert [each.name for each in tmp_path.iterdir()] == ["pipe"]

    def test_a_file_that_must_not_be_changed_stays(self) -> None:
        with tempfile.TemporaryDirectory() as name:
            there = Path(name) / "there"
            there.write_text("old")
            there.chmod(0o444)
            with _as_nobody(Path(name)), pytest.raises(QosError, match="Permission denied"):
                whole_file.write(there, "new")
            assert there.read_text() == "old"

    def test_a_full_disk_leaves_what_was_there(self, tmp_path: Path) -> None:
        there = tmp_path / "there"
        there.write_text("old")
        with pytest.raises(QosError, match=r"cannot be written: .*(large|space)"):
            _with_little_room(lambda: whole_file.write(there, "new" * 10000))
        assert there.read_text() == "old"
        assert [each.name for each in tmp_path.iterdir()] == ["there"]


@contextmanager
def _as_nobody(place: Path) -> Iterator[None]:
    """Gives a directory to a user without rights, and becomes that user; who is none already may
    change what is theirs."""
    if os.geteuid() != 0:
        yield
        return
    os.chown(place, 65534, 65534)
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


def _with_little_room(act: Callable[[], None]) -> None:
    """Does something while files can have a kilobyte at most."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1024, limits[1]))
    try:
        act()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, before)
