# SPDX-License-Identifier: Apache-2.0
"""What is tested with is what is asked for: tools/constraints beside requirements.txt."""

import importlib.metadata
import re
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from nova_qos.api.releases import KNOWN
from tests.unit.required import requirements

ROOT = Path(__file__).parents[2]
CONSTRAINTS = ROOT / "tools/constraints"
RELEASES = {int(path.stem.removeprefix("nova")): path for path in CONSTRAINTS.glob("nova*.txt")}


def read(path: Path) -> dict[str, Requirement]:
    """The requirements of a file by name."""
    lines = [line for line in path.read_text().splitlines() if line and not line.startswith("#")]
    return {canonicalize_name(each.name): each for each in map(Requirement, lines)}


def ours() -> dict[str, Requirement]:
    """The requirements of nova-qos by name, those of the extras too."""
    return {canonicalize_name(each.name): each for each in map(Requirement, requirements())}


def pin(requirement: Requirement) -> str:
    """The one version that it names."""
    (only,) = requirement.specifier
    assert only.operator == "=="
    return only.version


def test_every_known_nova_can_be_tested() -> None:
    assert set(RELEASES) == set(KNOWN)
    envs = re.search(r"nova\{([\d,]+)\}", (ROOT / "tox.ini").read_text())
    assert envs is not None
    assert [int(number) for number in envs[1].split(",")] == list(KNOWN)


@pytest.mark.parametrize("release", RELEASES)
def test_a_release_is_what_it_is_called_and_enough(release: int) -> None:
    pinned = read(RELEASES[release])
    assert pin(pinned["nova"]).startswith(f"{release}.")
    for name in ("requirements.txt", "test-requirements.txt"):
        for each, asked in (ours() if name == "requirements.txt" else read(ROOT / name)).items():
            if each in pinned:
                assert asked.specifier.contains(pin(pinned[each])), each


def test_the_nova_that_is_installed_takes_what_is_pinned_for_it() -> None:
    pinned = read(RELEASES[int(importlib.metadata.version("nova").split(".")[0])])
    for line in importlib.metadata.requires("nova") or []:
        asked = Requirement(line)
        if asked.marker is None or asked.marker.evaluate({"extra": ""}):
            assert asked.specifier.contains(pin(pinned[canonicalize_name(asked.name)])), line


def test_lower_is_the_least_that_is_asked_for() -> None:
    pinned = read(CONSTRAINTS / "lower.txt")
    least = {name: next(iter(asked.specifier)).version
             for name, asked in ours().items()}
    assert {name: pin(pinned[name]) for name in least} == least
