# SPDX-License-Identifier: Apache-2.0
"""nova-qos-paste on files of many kinds; PasteDeploy, as nova uses it, tells what they mean."""

import os
import resource
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from paste.deploy.loadwsgi import ConfigLoader

from nova_qos.cmd.paste import NOVAS, OPTION, OURS, SECTION, run

SHIPPED = Path(sys.prefix, "etc/nova/api-paste.ini")
#: What may stand around, as an administrator writes it.
LINES = st.sampled_from([
    "", "# a comment", "; another", f"#{OPTION} = {NOVAS}", f"# [{SECTION}]", "[filter:other]",
    f"{OPTION} = somebody:else", "other = [x]", "key: value %(here)s", "[DEFAULT]", "tabs =\tx\t",
    "name = \N{GREEK SMALL LETTER LAMDA}", "  "])
ENDINGS = st.sampled_from(["\n", "\r\n"])
SPACES = st.sampled_from(["", " ", "  ", "\t"])


@st.composite
def files(draw: st.DrawFn) -> bytes:
    """An api-paste.ini with nova's own factory, and layout and comments of all kinds."""
    before, after = draw(st.lists(LINES, max_size=5)), draw(st.lists(LINES, max_size=5))
    inside = draw(st.lists(st.sampled_from(["", "# note", "debug = 1"]), max_size=3, unique=True))
    spaces = [draw(SPACES) for _ in range(3)]
    sign = draw(st.sampled_from(["=", ":"]))
    factory = f"{OPTION}{spaces[0]}{sign}{spaces[1]}{NOVAS}{spaces[2]}"
    lines = [*_unique(before, "above"), f"[{SECTION}]", *inside, factory, "", "[filter:after]",
             *_unique(after, "below")]
    text = draw(ENDINGS).join(lines) + draw(st.sampled_from(["", "\n"]))
    return text.encode()


def _unique(lines: list[str], where: str) -> Iterator[str]:
    """Such lines as an INI file can hold: in sections, of different names."""
    yield f"[filter:{where}]"
    for number, line in enumerate(lines):
        if line.startswith("["):
            yield line.replace("]", f"{where}{number}]")
        elif line and not line.startswith(("#", ";", " ")):
            yield f"k{number}{line}"
        else:
            yield line


def factory_of(path: Path) -> str:
    """What nova will load."""
    return str(ConfigLoader(str(path)).parser.get(SECTION, OPTION))


@settings(max_examples=150, suppress_health_check=[
    *settings().suppress_health_check, HealthCheck.function_scoped_fixture])
@given(before=files())
def test_one_value_changes_and_comes_back(tmp_path: Path, before: bytes) -> None:
    path = tmp_path / "api-paste.ini"
    path.write_bytes(before)
    assert factory_of(path) == NOVAS
    assert [run(["enable", str(path)]) for _ in range(2)] == [0, 0]
    assert factory_of(path) == OURS
    enabled = path.read_bytes()
    place = enabled.index(OURS.encode())
    rest = place + len(OURS)
    assert enabled[:place] + NOVAS.encode() + enabled[rest:] == before
    assert [run(["disable", str(path)]) for _ in range(2)] == [0, 0]
    assert path.read_bytes() == before


def test_the_file_that_nova_ships(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "api-paste.ini"
    path.write_bytes(SHIPPED.read_bytes())
    assert run(["check", str(path)]) == 1
    assert run(["enable", str(path)]) == 0
    assert "restart the compute API" in capsys.readouterr().out
    assert run(["check", str(path)]) == 0
    assert run(["enable", str(path)]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == f"{path}: is enabled already"
    assert run(["disable", str(path)]) == 0
    assert path.read_bytes() == SHIPPED.read_bytes()


def test_what_is_written_there_exists() -> None:
    # elsewhere: to import nova's API can change the threads of the process that does it
    program = f"import pkgutil; assert callable(pkgutil.resolve_name({OURS!r}))"
    subprocess.run([sys.executable, "-c", program], check=True)
    assert f"{OPTION} = {NOVAS}" in SHIPPED.read_text()


FOREIGN = {
    "another factory": f"[{SECTION}]\n{OPTION} = keystone.api:Router.factory\n",
    "more than a factory": f"[{SECTION}]\n{OPTION} = {NOVAS}\n  and more\n",
    "a comment beside it": f"[{SECTION}]\n{OPTION} = {NOVAS}  # ours\n",
    "no factory": f"[{SECTION}]\nuse = egg:nova\n",
    "no section": f"[app:other]\n{OPTION} = {NOVAS}\n",
    "only by default": f"[DEFAULT]\n{OPTION} = {NOVAS}\n[{SECTION}]\n",
    "twice": f"[{SECTION}]\n{OPTION} = {NOVAS}\n[{SECTION}]\n{OPTION} = {NOVAS}\n",
    "two factories": f"[{SECTION}]\n{OPTION} = {NOVAS}\n{OPTION} = {OURS}\n",
    "two lines": f"[{SECTION}]\n{OPTION} =\n  {OURS}\n",
    "no such file format": "\x00\x01",
    "empty": "",
}


@pytest.mark.parametrize("command", ["enable", "disable", "check"])
@pytest.mark.parametrize("text", FOREIGN.values(), ids=FOREIGN.keys())
def test_what_is_not_ours_is_left_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str, text: str
) -> None:
    path = tmp_path / "api-paste.ini"
    path.write_text(text)
    assert run([command, str(path)]) == 2
    message = capsys.readouterr().err
    assert str(path) in message
    assert SECTION in message or "section" in message
    assert path.read_text() == text


def test_a_foreign_factory_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "api-paste.ini"
    path.write_text(FOREIGN["another factory"])
    assert run(["enable", str(path)]) == 2
    message = capsys.readouterr().err
    for word in (str(path), SECTION, OPTION, "keystone.api:Router.factory", NOVAS):
        assert word in message


@pytest.mark.parametrize("name", ["missing", "directory"])
def test_what_cannot_be_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    (tmp_path / "directory").mkdir()
    assert run(["enable", str(tmp_path / name)]) == 2
    assert f"{tmp_path / name} cannot be read: " in capsys.readouterr().err


@contextmanager
def no_room() -> Iterator[None]:
    """No file can grow beyond 16 bytes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (16, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_without_room_everything_stays(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "api-paste.ini"
    path.write_bytes(SHIPPED.read_bytes())
    with no_room():
        assert run(["enable", str(path)]) == 2
    assert f"{path} cannot be written: " in capsys.readouterr().err
    assert path.read_bytes() == SHIPPED.read_bytes()
    assert [each.name for each in tmp_path.iterdir()] == ["api-paste.ini"]


def test_owner_mode_and_links_stay(tmp_path: Path) -> None:
    path, link = tmp_path / "real.ini", tmp_path / "api-paste.ini"
    path.write_bytes(SHIPPED.read_bytes())
    path.chmod(0o640)
    if os.getuid() == 0:
        os.chown(path, 12, 34)
    link.symlink_to(path)
    before = path.stat()
    assert run(["enable", str(link)]) == 0
    after = path.stat()
    assert link.is_symlink()
    assert factory_of(path) == OURS
    assert (after.st_mode, after.st_uid, after.st_gid) == (
        before.st_mode, before.st_uid, before.st_gid)
    assert after.st_mtime_ns >= before.st_mtime_ns


@pytest.mark.parametrize("arguments", [[], ["enable"], ["toggle", "x"], ["enable", "a", "b"]])
def test_usage(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as error:
        run(arguments)
    assert error.value.code == 2
    assert "usage: nova-qos-paste" in capsys.readouterr().err
