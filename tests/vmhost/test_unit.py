# SPDX-License-Identifier: Apache-2.0
"""The agent's unit with its drop-in for KSM, as systemd runs it: what the agent may write."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.vmhost.servers import run

_TREE = Path(__file__).parents[2]
_SAMPLES = _TREE / "etc/nova-qos"
_UNITS = Path("/run/systemd/system")
_KSM = Path("/sys/kernel/mm/ksm")
_PROGRAM = "ExecStart=nova-qos-agent --config-file /etc/nova/nova.conf\n"
# what the agent itself calls, with what the kernel has already
_WRITE = ("from nova_qos.virt.ksm import KernelKsm; ksm = KernelKsm(); now = ksm.read(); "
          "ksm.write({each: now[each] for each in ('pages_to_scan', 'sleep_millisecs', 'run')})")


@pytest.fixture(scope="module", autouse=True)
def _nova() -> Iterator[None]:
    """The user that packages of nova make."""
    run("useradd", "--system", "--user-group", "nova")
    yield
    run("userdel", "nova")


@pytest.fixture(params=[[], ["cgroup-v2"]], ids=["as nova", "as root on cgroup v2"])
def unit(request: pytest.FixtureRequest) -> Iterator[Path]:
    """The agent's unit, which writes KSM's settings once; gone afterwards, with the rights that it
    gave."""
    text = (_SAMPLES / "nova-qos-agent.service").read_text()
    assert _PROGRAM in text
    # a name each: what the journal has of one tells nothing of the other
    unit = _UNITS / f"nova-qos-agent-test{len(request.param)}.service"
    unit.write_text(text.replace(
        _PROGRAM, f"Environment=PYTHONPATH={_TREE} PYTHONDONTWRITEBYTECODE=1\n"
                  f'ExecStart={sys.executable} -c "{_WRITE}"\n',
    ).replace("Type=simple", "Type=oneshot").replace("Restart=on-failure\n", ""))
    drop_ins = unit.with_name(f"{unit.name}.d")
    drop_ins.mkdir()
    before = {file: file.stat() for file in _KSM.iterdir()}
    try:
        for name in request.param:
            _drop_in(unit, name)
        yield unit
    finally:
        for file in (*drop_ins.iterdir(), unit):
            file.unlink()
        drop_ins.rmdir()
        run("systemctl", "daemon-reload")
        for file, had in before.items():
            run("chown", f"{had.st_uid}:{had.st_gid}", file)
            file.chmod(had.st_mode & 0o777)


def _drop_in(unit: Path, name: str) -> None:
    target = unit.with_name(f"{unit.name}.d") / f"{name}.conf"
    target.write_text((_SAMPLES / f"nova-qos-agent-{name}.conf").read_text())


def _run(unit: Path) -> subprocess.CompletedProcess[str]:
    run("systemctl", "daemon-reload")
    return subprocess.run(["systemctl", "start", unit.name], capture_output=True, text=True)


def test_with_its_drop_in_the_agent_may_set_ksm(unit: Path) -> None:
    refused = _run(unit)
    assert refused.returncode != 0
    assert "nova-qos-agent-ksm.conf" in run("journalctl", "--unit", unit.name, "--output", "cat")
    _drop_in(unit, "ksm")
    done = _run(unit)
    assert done.returncode == 0, done.stderr + run("journalctl", "--unit", unit.name)
