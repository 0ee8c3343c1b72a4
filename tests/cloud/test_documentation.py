# SPDX-License-Identifier: Apache-2.0
"""Every command and program that the documentation shows, run in its order; they print what it
says."""

import re
import shlex
import subprocess
import sys
import textwrap
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

from nova_qos.resources import TABLE
from tests.cloud.api import Person

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.rst", *sorted((ROOT / "doc/source/user").glob("*.rst"))]
_BLOCK = re.compile(r"^\.\. code-block:: (\w+)\n\n((?:    .*\n|\n)+)", re.MULTILINE)
#: What the documentation calls the host.
_HOST = "compute1"
_VCPUS = 2
_COMMAND = re.compile(r"^ +(?:\$ )?(?:nova|openstack) [a-z]", re.MULTILINE)


def blocks(page: str) -> list[tuple[str, str]]:
    """The language and the text of each."""
    return [(language, textwrap.dedent(text)) for language, text in _BLOCK.findall(page)]


def commands(page: Path) -> Iterator[tuple[str, str]]:
    """Each command with what it is said to print."""
    for language, text in blocks(page.read_text()):
        if language == "console":
            for example in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
                command, _, printed = example.partition("\n")
                yield command, printed


def told(text: str) -> list[str]:
    """The lines without what differs between machines: the host's memory, and so widths."""
    lines = re.sub(r" of \d+", " of N", text).strip().splitlines()
    return [re.sub(r"-+", "-", re.sub(r" +", " ", line)).strip() for line in lines]


def run(person: Person, *words: str | Path) -> str:
    """What a command prints on its standard output; it must succeed."""
    program, *rest = words
    path = Path(sys.executable).with_name(str(program))
    answer = subprocess.run(
        [path, *rest], env=person.environment | {"PATH": "/usr/bin:/bin"}, capture_output=True,
        text=True)
    assert answer.returncode == 0, f"{shlex.join(map(str, words))}: {answer.stderr}"
    return answer.stdout


@pytest.mark.usefixtures("clean")
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_print_what_is_shown(admin: Person, page: Path) -> None:
    (host,) = admin.request("GET", "/os-hypervisors/detail", version="2.1").json()["hypervisors"]
    for command, printed in commands(page):
        words = shlex.split(command)
        if _HOST in words and host["vcpus"] != _VCPUS:
            warnings.warn(f"not compared, since it is for a host with {_VCPUS} vCPUs, and this one "
                          f"has {host['vcpus']}: {command}", stacklevel=1)
            continue
        words = [host["service"]["host"] if word == _HOST else word for word in words]
        assert told(run(admin, *words)) == told(printed), command


@pytest.mark.usefixtures("clean")
def test_the_program_prints_what_is_shown(admin: Person) -> None:
    (_, program), (_, printed) = blocks(
        (ROOT / "doc/source/user/python.rst").read_text())
    assert run(admin, "python", "-c", program).strip() == printed.strip()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_nothing_is_shown_that_is_not_run(page: Path) -> None:
    run_here = {command for command, _ in commands(page)}
    shown = {match.strip().removeprefix("$ ") for match in
             (line for line in page.read_text().splitlines() if _COMMAND.match(line))}
    assert shown == run_here


def test_every_resource_is_shown() -> None:
    shown = "\n".join(command for page in PAGES for command, _ in commands(page))
    for row in TABLE.values():
        assert row.names.option in shown
        assert row.names.set_command in shown
