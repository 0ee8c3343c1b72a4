# SPDX-License-Identifier: Apache-2.0
"""No line that the tools print is broken by what another program prints, even to the terminal."""

import os
import pty
import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
_NOISE = "echo noise; echo complaint >&2; (echo terminal > /dev/tty) 2> /dev/null || true"
_STEP = """\
import subprocess, sys
from pathlib import Path
from tools.bed import progress

def work():
    print("from here")
    subprocess.run(["sh", "-c", "echo noise; echo complaint >&2"])
    if sys.argv[2] == "fails":
        sys.exit(3)

progress.step("something", work, Path(sys.argv[1]))
print("afterwards")
"""
_PACKAGES = """\
import os, sys
from pathlib import Path
from tools.bed import packages

os.geteuid = lambda: 0
packages._POLICY, packages._LISTS = Path("policy").absolute(), Path("lists")
sys.exit(packages.main())
"""


def shown(tmp_path: Path, *words: str) -> tuple[int, list[str]]:
    """The exit status of a Python program and the lines that its terminal shows."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(tmp_path)
        os.execve(sys.executable, [sys.executable, "-c", *words], {
            "PATH": f"{tmp_path}:/usr/sbin:/usr/bin:/sbin:/bin", "PYTHONPATH": str(ROOT)})
    printed = b""
    try:
        while read := os.read(terminal, 4096):
            printed += read
    except OSError:  # it has closed its side
        pass
    os.close(terminal)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), printed.decode().splitlines()


def program(tmp_path: Path, name: str, script: str) -> None:
    path = tmp_path / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


@pytest.mark.parametrize(("end", "status", "line", "more"), [
    ("works", 0, r"  something {49} +\d+\.\d s", ["afterwards"]),
    ("fails", 3, r"  something {49} FAILED", [])])
def test_a_step_is_one_line(
    tmp_path: Path, end: str, status: int, line: str, more: list[str]
) -> None:
    ended, (first, *others) = shown(tmp_path, _STEP, "log", end)
    assert (ended, others) == (status, more)
    assert re.fullmatch(line, first)
    assert sorted((tmp_path / "log").read_text().splitlines()) == [
        "complaint", "from here", "noise"]


@pytest.fixture
def lists(tmp_path: Path) -> list[str]:
    """Two lists of packages, of which none is installed."""
    program(tmp_path, "dpkg-query", "exit 1")
    (tmp_path / "one.apt").write_text("# two\nthis\nthat\n")
    (tmp_path / "two.apt").write_text("that\n")
    return ["one.apt", "two.apt"]


def test_packages_are_one_line(tmp_path: Path, lists: list[str]) -> None:
    program(tmp_path, "apt-get", f'echo "$@"; {_NOISE}')
    assert shown(tmp_path, _PACKAGES, "log", *lists) == (
        0, ["installing 2 Debian packages (log: log)"])
    command, *noise = (tmp_path / "log").read_text().splitlines()[-3:]
    assert re.search(r" install -y .*this that$", command)
    assert noise == ["noise", "complaint"]


def test_what_apt_says_is_shown_when_it_fails(tmp_path: Path, lists: list[str]) -> None:
    program(tmp_path, "apt-get", f"{_NOISE}; exit 100")
    assert shown(tmp_path, _PACKAGES, "log", *lists) == (
        1, ["installing 2 Debian packages (log: log)", "apt-get install this that failed:",
            *["noise", "complaint"] * 2])


def test_nothing_is_said_where_all_is_there(tmp_path: Path, lists: list[str]) -> None:
    program(tmp_path, "dpkg-query", "echo installed this; echo installed that")
    assert shown(tmp_path, _PACKAGES, "log", *lists) == (0, [])
