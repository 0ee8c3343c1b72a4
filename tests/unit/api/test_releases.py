# SPDX-License-Identifier: Apache-2.0
"""The API loads with a nova that we know, and says which one it found otherwise."""

import subprocess
import sys
from pathlib import Path

import pytest

from nova_qos.api import releases
from nova_qos.core import errors

_MOUNT = "import nova_qos.api.mount"


def load(program: str, path: Path | None = None) -> str:
    """What a fresh process says that mounts us as nova's API does; the path is searched first.

    Not this one: to import nova's API can change the threads of the process that does it.
    """
    search = "" if path is None else f"import sys; sys.path.insert(0, {str(path)!r})\n"
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", search + program],
                          capture_output=True, text=True)
    return done.stderr.strip()


@pytest.mark.parametrize("version", [
    "31.0.0", "31.3.1", "32.0.1.dev12", "33.0.0.0rc1", "34.0.0", "34.0.0+vendor.1"])
def test_known(version: str) -> None:
    releases.check(version, needed=())


@pytest.fixture(scope="module")
def loaded() -> tuple[str, str]:
    """What is said until our part has loaded with the installed nova, and what is said by it of a
    router that has no routes."""
    said = load(f"{_MOUNT} as mount, sys\nsys.stderr.write('loaded')\n"
                "mount._servers_resource([])")
    before, _loaded, after = said.partition("loaded")
    return before, after


def test_the_installed_one_has_all_that_is_needed(loaded: tuple[str, str]) -> None:
    before, after = loaded
    assert before == ""
    assert after


@pytest.mark.parametrize("version", ["30.3.0", "35.0.0", "35.0.0.dev4", "3.4", "340", "unknown"])
def test_unknown(version: str) -> None:
    with pytest.raises(errors.UnknownNova) as error:
        releases.check(version)
    assert f"nova {version} is installed" in error.value.message
    assert "31 to 34" in error.value.message
    assert "nova-qos-paste disable" in error.value.message


def test_what_is_missing_is_named() -> None:
    needed = ["nova.exception.NovaException", "nova.exception.Gone", "nova.no_such.thing"]
    with pytest.raises(errors.UnknownNova) as error:
        releases.check(needed=needed)
    assert "has no nova.exception.Gone, nova.no_such.thing." in error.value.message


def test_an_unknown_nova_keeps_the_api_from_loading(tmp_path: Path) -> None:
    package = tmp_path / "nova-35.0.0.dist-info"
    package.mkdir()
    (package / "METADATA").write_text("Metadata-Version: 2.1\nName: nova\nVersion: 35.0.0\n")
    last = load(_MOUNT, tmp_path).splitlines()[-1]
    assert last.startswith("nova_qos.errors.UnknownNova: nova 35.0.0 is installed")


def test_a_nova_of_another_shape_keeps_the_api_from_loading() -> None:
    program = f"import nova.policy\ndel nova.policy._ENFORCER\n{_MOUNT}"
    last = load(program).splitlines()[-1]
    assert last.startswith("nova_qos.errors.UnknownNova: nova ")
    assert "has no nova.policy._ENFORCER" in last


def test_a_router_without_the_servers_actions(loaded: tuple[str, str]) -> None:
    last = loaded[1].splitlines()[-1]
    assert last.startswith("nova_qos.errors.UnknownNova: nova's router has no route /servers/")
