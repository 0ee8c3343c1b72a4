# SPDX-License-Identifier: Apache-2.0
"""The two releases of an upgrade, each as packages that pip installs."""

import io
import os
import re
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path

from nova_qos.bus import wire
from tests.cloud.test_documentation import ROOT
from tests.cloud.test_install_guide import copy_of_the_tree
from tools.bed.errors import TestbedError
from tools.bed.stack.shell import run

#: Names the releases to upgrade from, each by what git calls a commit; blanks between.
VARIABLE = "NOVA_QOS_UPGRADE_FROM"
_NOTES = "releasenotes/notes"
_WIRE = re.compile(r'^VERSION = "1\.(\d+)"', re.MULTILINE)
#: Where the messages between API and agent stood, and stand.
_MESSAGES = ("nova_qos/bus/wire.py", "nova_qos/rpc.py")


@dataclass(frozen=True)
class Release:
    """A release with what tests need to know of it: its resources, the minor version of its
    messages, and the revision of its tables (empty: it has none)."""

    name: str
    packages: tuple[Path, ...]
    resources: frozenset[str]
    wire: int
    tables: str

    @property
    def has_many(self) -> bool:
        """Whether it changes several servers in one request."""
        return self.wire >= _minor(wire.SET_MANY_VERSION)

    @property
    def has_policies(self) -> bool:
        """Whether it has named policies."""
        return self.wire >= _minor(wire.POLICY_VERSION)

    @property
    def has_hosts(self) -> bool:
        """Whether it tells of hosts as a whole."""
        return self.wire >= _minor(wire.HOST_VERSION)

    @property
    def tells_servers_of_hosts(self) -> bool:
        """Whether it tells of hosts with each server, which planning moves takes."""
        return self.wire >= _minor(wire.PLACED_VERSION)


def earlier_names() -> list[str]:
    """What ``VARIABLE`` names; else the newest tag before this commit, or as long as there is none,
    the commit before the newest one that brought a release note."""
    if given := os.environ.get(VARIABLE, "").split():
        return given
    if tag := _git_or_nothing("describe", "--tags", "--abbrev=0", "HEAD^"):
        return [tag]
    noted = _git_or_nothing("log", "-1", "--diff-filter=A", "--format=%H", "--", _NOTES)
    # without a history, the test says so
    return [f"{noted[:10]}^"] if noted else ["the release before, which needs git's history"]


def earlier(name: str, place: Path) -> Release:
    """A commit of this tree's history.

    :raises TestbedError: there is no such commit, or no history
    """
    archive = subprocess.run(
        ["git", "-C", ROOT, "archive", "--format=zip", name], capture_output=True)
    if archive.returncode:
        raise TestbedError(f"{name}: {archive.stderr.decode()}")
    with zipfile.ZipFile(io.BytesIO(archive.stdout)) as files:
        files.extractall(place / "tree")
    return _built(name, place, _count(name))


def this(place: Path) -> Release:
    """The tree as it is here."""
    place.mkdir()
    copy_of_the_tree(place / "tree")
    # newer than all of its history, whether it is committed or not
    return _built("this one", place, _count("HEAD") + 1)


def _built(name: str, place: Path, number: int) -> Release:
    tree, made = place / "tree", place / "packages"
    # with the tools of the tests' environment, which has all that a build needs: nothing is fetched
    run(sys.executable, "-m", "pip", "wheel", "--quiet", "--disable-pip-version-check", "--no-deps",
        "--no-build-isolation", "--wheel-dir", made, tree, tree / "hooks",
        env={"PBR_VERSION": f"0.0.1.dev{number}", "PYTHONPATH": ""})
    messages = next(path for path in (tree / each for each in _MESSAGES) if path.exists())
    (found,) = _WIRE.findall(messages.read_text())
    revisions = sorted(tree.glob("nova_qos/policies/migrations/versions/v*.py"))
    return Release(name, tuple(made.glob("*.whl")), _resources(tree), int(found),
                   revisions[-1].name[1:5] if revisions else "")


def _resources(tree: Path) -> frozenset[str]:
    code = "from nova_qos.resources import TABLE; print(*TABLE)"
    return frozenset(run(sys.executable, "-P", "-c", code, env={"PYTHONPATH": str(tree)}).split())


def _count(commit: str) -> int:
    return int(run("git", "-C", ROOT, "rev-list", "--count", commit))


def _git_or_nothing(*words: str) -> str:
    answer = subprocess.run(["git", "-C", ROOT, *words], capture_output=True, text=True)
    return answer.stdout.strip()


def _minor(version: str) -> int:
    return int(version.partition(".")[2])
