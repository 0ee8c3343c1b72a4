# SPDX-License-Identifier: Apache-2.0
"""What the manual shows of the openstack commands is what they print."""

import re
import shlex
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from nova_qos.resources import GET_ALL, SET_ALL, TABLE
from tests.shells import OpenStack
from tests.unit.answers import applied, listed, reports, waiting
from tests.unit.recorded import RecordedCloud

MANUAL = Path(__file__).parents[2] / "doc/source/user/index.rst"
BLOCKS = re.findall(r"code-block:: console\n\n((?:    .*\n|\n)+)", MANUAL.read_text())


def examples() -> Iterator[tuple[str, str]]:
    """Each command with what it is said to print."""
    for block in BLOCKS:
        for example in textwrap.dedent(block).strip().split("$ ")[1:]:
            command, _, shown = example.partition("\n")
            yield command, shown.strip()


@pytest.fixture
def cloud() -> Iterator[RecordedCloud]:
    """vm1 and vm2 as the examples leave them; vm2 does not run."""
    one = reports(memory=applied(384), cpu_priority=applied(2048), net_priority=applied(60))
    two = reports(memory=waiting(384), cpu_priority=waiting(2048))
    weights: list[dict[str, int | None]] = [
        {"cpu_priority": 2048, "io_priority": 100, "net_priority": 39}, {},
        {"cpu_priority": 1024, "io_priority": 100, "net_priority": 49}]
    with RecordedCloud("vm1", "vm2", "vm3") as cloud:
        for name, report in (("vm1", one), ("vm2", two)):
            cloud.answers[name, SET_ALL] = cloud.answers[name, GET_ALL] = (200, report)
        cloud.host = {"name": "compute1", "vcpus": 2, "memory_mib": 7952}
        stopped = {**reports(**dict.fromkeys(TABLE, waiting(None))), "memory": two["memory"],
                   "cpu_priority": two["cpu_priority"]}
        cloud.listed = [
            listed(f"id-of-{name}", name, {
                key: {**part, "weight": weight.get(key)} for key, part in report.items()}, 2)
            for name, report, weight in zip(
                cloud.servers, (one, stopped, reports()), weights, strict=True)]
        yield cloud


@pytest.mark.parametrize(("command", "shown"), examples(), ids=lambda text: text.split("\n")[0])
def test_an_example(
    command: str, shown: str, cloud: RecordedCloud, capsys: pytest.CaptureFixture[str]
) -> None:
    openstack, *words = shlex.split(command)
    assert openstack == "openstack"
    if "unset" in words:
        cloud.answers["vm1", SET_ALL] = (200, reports())
    ended = OpenStack(cloud.credentials(), capsys)(*words)
    assert (ended.status, ended.err) == (0, "")
    assert ended.out.strip() == shown


def test_every_command_has_its_example() -> None:
    shown = " ".join(command for command, _shown in examples())
    for verb in ("show", "set", "unset", "list", "list --host"):
        assert f"openstack server qos {verb} " in shown
