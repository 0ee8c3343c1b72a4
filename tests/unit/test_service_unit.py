# SPDX-License-Identifier: Apache-2.0
"""The agent's unit: what systemd itself says of it, without running it."""

import configparser
import re
import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

SAMPLES = Path(__file__).parents[2] / "etc" / "nova-qos"
UNIT, DROP_IN = SAMPLES / "nova-qos-agent.service", SAMPLES / "nova-qos-agent-cgroup-v2.conf"
SECURITY = SAMPLES.parents[1] / "doc/source/admin/security.rst"
# as the agent sets up its log, with one configuration after the other; to import nova takes longer
_LOGS = """
import os, sys
from nova import config
import nova.conf
from oslo_log import log
for conf in sys.argv[1:]:
    if child := os.fork():
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0, conf
    else:
        config.parse_args(["agent", "--config-file", conf], configure_db=False, init_rpc=False)
        log.setup(nova.conf.CONF, "nova")
        log.getLogger("nova.test").warning("a line of the log by %s", conf)
        break
"""
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


def _lists(name: str) -> list[str]:
    """The words of a setting that the drop-in's lines are added to, after an empty one alone."""
    words: list[str] = []
    for line in (UNIT.read_text() + DROP_IN.read_text()).splitlines():
        setting, _, value = line.partition("=")
        if setting == name:
            words = [*words, *value.split()] if value else []
    return words


def test_as_root_it_writes_where_root_alone_can_make_links() -> None:
    """Not where nova can lead it elsewhere."""
    assert _lists("ReadWritePaths") == ["/run/systemd"]
    assert "strict" in _lists("ProtectSystem")


@pytest.mark.parametrize("unified", [False, True], ids=["cgroup v1", "cgroup v2"])
def test_as_root_its_log_goes_to_the_journal(tmp_path: Path, unified: bool) -> None:
    places: dict[Path, Path] = {}
    for name, said in (("dir", "log_dir = {place}"), ("file", "log_file = {place}/agent.log")):
        place, conf = tmp_path / name, tmp_path / f"{name}.conf"
        place.mkdir()
        conf.write_text(f"[DEFAULT]\n{said.format(place=place)}\n")
        places[conf] = place
    environment = dict(each.split("=", 1) for each in _lists("Environment")) if unified else {}
    done = subprocess.run(
        [sys.executable, "-c", _LOGS, *places], capture_output=True, text=True,
        env={"PATH": "/usr/bin:/bin", **environment})
    assert done.returncode == 0, done.stderr
    for conf, place in places.items():
        assert (f"a line of the log by {conf}" in done.stdout + done.stderr) == unified
        assert bool(list(place.iterdir())) == (not unified)


def test_the_page_on_security_says_what_the_rights_mean() -> None:
    """A capability confines nobody whom systemd and libvirt obey."""
    page = " ".join(SECURITY.read_text().split())
    for said in ("Membership of the group ``libvirt`` is as good as root",
                 "Root on the system bus is all of root"):
        assert said in page
    unit = configparser.ConfigParser(strict=False)
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read(UNIT)
    assert unit["Service"]["SupplementaryGroups"] == "libvirt"
    assert _lists("User") == ["nova", "root"]


def test_one_capability_and_a_program_of_ours() -> None:
    unit = configparser.ConfigParser(strict=False)
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read(UNIT)
    service = unit["Service"]
    assert service["CapabilityBoundingSet"] == service["AmbientCapabilities"] == "CAP_NET_ADMIN"
    program, *arguments = service["ExecStart"].split()
    assert arguments == ["--config-file", "/etc/nova/nova.conf"]
    assert program in {point.name for point in metadata.entry_points(group="console_scripts")}
