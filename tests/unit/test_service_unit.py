# SPDX-License-Identifier: Apache-2.0
"""The agent's unit: what systemd itself says of it, without running it."""

import configparser
import re
import shutil
import subprocess
from importlib import metadata
from pathlib import Path

import pytest

SAMPLES = Path(__file__).parents[2] / "etc" / "nova-qos"
UNIT, DROP_IN = SAMPLES / "nova-qos-agent.service", SAMPLES / "nova-qos-agent-cgroup-v2.conf"
_ANALYZE = shutil.which("systemd-analyze")
analyzed = pytest.mark.skipif(_ANALYZE is None, reason="there is no systemd-analyze here")


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """Where systemd finds the unit and the drop-in for cgroup v2, with a program that is there."""
    program = str(shutil.which("true"))
    unit = tmp_path / UNIT.name
    unit.write_text(UNIT.read_text().replace("ExecStart=nova-qos-agent", f"ExecStart={program}"))
    return unit


def _drop_in(unit: Path) -> None:
    place = unit.with_name(f"{unit.name}.d") / "cgroup-v2.conf"
    place.parent.mkdir()
    shutil.copy(DROP_IN, place)


def _analyze(unit: Path, *words: str) -> subprocess.CompletedProcess[str]:
    environment = {"SYSTEMD_UNIT_PATH": f"{unit.parent}:", "PATH": "/usr/bin:/bin"}
    return subprocess.run([str(_ANALYZE), "--no-pager", *words], env=environment,
                          capture_output=True, text=True)


@analyzed
@pytest.mark.parametrize("unified", [False, True], ids=["cgroup v1", "cgroup v2"])
def test_systemd_understands_every_line(installed: Path, unified: bool) -> None:
    if unified:
        _drop_in(installed)
    done = _analyze(installed, "verify", "--man=no", str(installed))
    of_ours = [line for line in done.stderr.splitlines() if "nova-qos" in line]
    assert (done.returncode, of_ours) == (0, [])


@analyzed
@pytest.mark.parametrize(("unified", "most"), [(False, 2.0), (True, 2.5)],
                         ids=["cgroup v1", "cgroup v2"])
def test_how_exposed_it_is(installed: Path, unified: bool, most: float) -> None:
    if unified:
        _drop_in(installed)
    done = _analyze(installed, "security", "--offline=yes", UNIT.name)
    found = re.search(r"Overall exposure level for \S+: ([\d.]+)", done.stdout)
    assert found is not None, done.stdout + done.stderr
    assert float(found[1]) <= most, done.stdout


def test_one_capability_and_a_program_of_ours() -> None:
    unit = configparser.ConfigParser(strict=False)
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read(UNIT)
    service = unit["Service"]
    assert service["CapabilityBoundingSet"] == service["AmbientCapabilities"] == "CAP_NET_ADMIN"
    program, *arguments = service["ExecStart"].split()
    assert arguments == ["--config-file", "/etc/nova/nova.conf"]
    assert program in {point.name for point in metadata.entry_points(group="console_scripts")}
