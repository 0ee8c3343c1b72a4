# SPDX-License-Identifier: Apache-2.0
"""The agent's unit as systemd runs it; that the agent can do its work so, the other tests show."""

import re

import pytest

from nova_qos.core.metric import COLLECTORS
from tests.twonode.host import NodeHost
from tools.bed.errors import TestbedError
from tools.bed.processes import wait_until
from tools.bed.stack.layout import METRICS_PORT

# the first one's includes the boot of all hosts
pytestmark = pytest.mark.timeout(1200)

_CAP_NET_ADMIN = 1 << 12  # linux/capability.h
_MOST_EXPOSED = 2.5
_STARTED_S = 120
_SCRAPE = (f"import urllib.request as web; "
           f"print(web.urlopen('http://127.0.0.1:{METRICS_PORT}/').read().decode())")


def test_the_agent_has_one_capability(hosts: list[NodeHost]) -> None:
    machine = hosts[0].node.machine
    pid = machine.run("systemctl", "show", "--property=MainPID", "--value", "nova-qos-agent")
    status = machine.run("cat", f"/proc/{pid.strip()}/status")
    capabilities = {name: int(value, 16)
                    for name, value in re.findall(r"^Cap(\w+):\s+(\w+)$", status, re.MULTILINE)}
    assert capabilities["Eff"] == capabilities["Bnd"] == capabilities["Prm"] == _CAP_NET_ADMIN


def test_how_exposed_systemd_finds_it(hosts: list[NodeHost]) -> None:
    told = hosts[0].node.machine.run(
        "systemd-analyze", "--no-pager", "security", "nova-qos-agent")
    found = re.search(r"Overall exposure level for \S+: ([\d.]+)", told)
    assert found is not None, told
    assert float(found[1]) <= _MOST_EXPOSED, told


def test_other_services_leave_it_the_processor(hosts: list[NodeHost]) -> None:
    machine = hosts[0].node.machine
    group = machine.run("systemctl", "show", "--property=ControlGroup", "--value", "nova-qos-agent")
    assert int(machine.run("cat", f"/sys/fs/cgroup{group.strip()}/cpu.weight")) == 1000


def test_its_rights_are_enough_for_metrics(hosts: list[NodeHost]) -> None:
    machine = hosts[0].node.machine

    def found(metric: str) -> dict[str, str]:
        try:
            text = machine.run("python3", "-c", _SCRAPE)
        except TestbedError:
            # a test before this one may have restarted the agent
            return {}
        return dict(re.findall(rf'^nova_qos_{metric}{{\w+="(\w+)"}} (\S+)$', text, re.MULTILINE))

    assert wait_until(
        lambda: found("collector_success") == dict.fromkeys(COLLECTORS, "1.0"), _STARTED_S)
    # what it surveys at its start
    assert wait_until(
        lambda: found("resource_usable").get("cpu_priority") == "1.0", _STARTED_S)
