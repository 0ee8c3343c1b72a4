# SPDX-License-Identifier: Apache-2.0
"""Every phase of the DevStack plugin, with DevStack's functions written down instead of run; the
api-paste.ini is real."""

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from oslo_config import cfg

from nova_qos import conf
from nova_qos.cmd import paste
from nova_qos_hooks import ballooning

ROOT = Path(__file__).parents[2]
FUNCTIONS = Path(__file__).with_name("devstack_functions.sh")
PHASES = ["pre-install", "install", "post-config", "extra", "test-config"]


@dataclass
class Stack:
    """A machine on which DevStack runs."""

    home: Path
    services: str = "n-api,n-cpu"
    variables: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        shutil.copy(Path(sys.prefix, "etc/nova/api-paste.ini"), self.paste)
        tool = self.home / "requirements/.venv/bin/edit-constraints"
        tool.parent.mkdir(parents=True)
        tool.write_text(f'#!/bin/sh\necho edit-constraints "$@" >> {self.calls_file}\n')
        tool.chmod(0o755)
        (self.home / "openrc").write_text("export OS_CLOUD=$1\n")
        self.programs.mkdir()
        for name in ("nova-qos-paste", "nova-qos-agent"):
            (self.programs / name).symlink_to(Path(sys.executable).with_name(name))
        manage = self.programs / "nova-qos-manage"
        manage.write_text(f'#!/bin/sh\necho nova-qos-manage "$@" >> {self.calls_file}\n')
        manage.chmod(0o755)

    @property
    def paste(self) -> Path:
        return self.home / "api-paste.ini"

    @property
    def programs(self) -> Path:
        """Those of nova-qos; the one for the database notes how it was called."""
        return self.home / "nova-bin"

    @property
    def calls_file(self) -> Path:
        return self.home / "calls"

    def run(self, *arguments: str) -> list[str]:
        """Source settings and plugin as DevStack does; the functions that were called."""
        self.calls_file.write_text("")
        script = (f"source {FUNCTIONS}\nsource $HERE/devstack/settings\n"
                  f"source $HERE/devstack/plugin.sh {' '.join(arguments)}\n")
        done = subprocess.run(["bash", "-c", script], env=self._environment(), capture_output=True,
                              text=True)
        assert done.returncode == 0, done.stderr
        assert "command not found" not in done.stderr
        return self.calls_file.read_text().splitlines()[1:]

    def _environment(self) -> dict[str, str]:
        return {
            "PATH": f"{self.home / 'bin'}:{os.environ['PATH']}", "HERE": str(ROOT),
            "CALLS": str(self.calls_file), "TOP_DIR": str(self.home),
            "ENABLED_SERVICES": self.services, "VIRT_DRIVER": "libvirt",
            "REQUIREMENTS_DIR": str(self.home / "requirements"), "GLOBAL_VENV": "True",
            "DEVSTACK_VENV": "/opt/stack/data/venv", "DEST": str(self.home),
            "NOVA_BIN_DIR": str(self.programs),
            "NOVA_CONF": "/etc/nova/nova.conf", "NOVA_CPU_CONF": "/etc/nova/nova-cpu.conf",
            "NOVA_API_PASTE_INI": str(self.paste), **self.variables}


@pytest.fixture
def stack(tmp_path: Path) -> Stack:
    return Stack(tmp_path)


def test_installed(stack: Stack) -> None:
    assert stack.run("stack", "pre-install") == ["install_package nftables"]
    constraints = stack.home / "requirements/upper-constraints.txt"
    assert stack.run("stack", "install") == [
        f"edit-constraints {constraints} -- pyroute2",
        f"setup_develop {ROOT} api,agent", f"setup_develop {ROOT}/hooks"]


def test_configured(stack: Stack) -> None:
    stack.variables |= {"NOVA_QOS_UPLINKS": "eth1,eth2", "NOVA_QOS_HTB_RATE": "900",
                        "NOVA_QOS_BALLOONING_RAM_RATIO": "2.0"}
    assert stack.run("stack", "post-config") == [
        "iniset /etc/nova/nova.conf nova_qos uplinks eth1,eth2",
        "iniset /etc/nova/nova.conf tc htb_rate 900",
        "iniset /etc/nova/nova.conf libvirt ballooning_ram_ratio 2.0",
        "recreate_database nova_qos",
        "iniset /etc/nova/nova.conf nova_qos_database connection "
        "mysql+pymysql://root:secret@127.0.0.1/nova_qos",
        "nova-qos-manage --config-file /etc/nova/nova.conf db sync"]
    assert paste.is_enabled(stack.paste)


def test_what_it_configures_are_options_of_ours(stack: Stack) -> None:
    stack.variables |= dict.fromkeys(
        ("NOVA_QOS_UPLINKS", "NOVA_QOS_HTB_RATE", "NOVA_QOS_BALLOONING_RAM_RATIO"), "2")
    ours = {(_group(group), option.name)
            for group, options in [*conf.list_opts(), *ballooning.list_opts()]
            for option in options}
    written = {tuple(call.split()[2:4]) for call in stack.run("stack", "post-config")
               if call.startswith("iniset ")}
    assert len(written) == 4
    assert written <= ours


def _group(group: cfg.OptGroup | str) -> str:
    return group if isinstance(group, str) else str(group.name)


def test_started_and_stopped(stack: Stack) -> None:
    agent = stack.programs / "nova-qos-agent"
    assert stack.run("stack", "extra") == [
        "inidelete /etc/nova/nova-cpu.conf nova_qos_database connection",
        f"run_process n-qos {agent} --config-file /etc/nova/nova-cpu.conf group= user=root"]
    assert stack.run("stack", "test-config") == []
    assert stack.run("unstack") == ["stop_process n-qos"]


def test_cleaned(stack: Stack) -> None:
    before = stack.paste.read_bytes()
    stack.run("stack", "post-config")
    assert stack.run("clean") == [
        "sudo tc qdisc show", "sudo tc qdisc del dev eth1 root",
        "sudo nft list table netdev nova_qos", "sudo nft delete table netdev nova_qos",
        "sudo nft list table netdev nova_qos_in", "sudo nft delete table netdev nova_qos_in",
        "sudo ip link delete nova-qos-in",
        "pip_uninstall nova-qos-dashboard from /opt/stack/data/venv",
        "pip_uninstall nova-qos-hooks from /opt/stack/data/venv",
        "pip_uninstall nova-qos from /opt/stack/data/venv"]
    assert stack.paste.read_bytes() == before


def test_twice_is_as_once(stack: Stack) -> None:
    for _ in range(2):
        for phase in PHASES:
            stack.run("stack", phase)
        assert paste.is_enabled(stack.paste)
    for _ in range(2):
        stack.run("unstack")
        stack.run("clean")
    stack.paste.unlink()
    stack.run("clean")


def test_horizon_gets_the_panel_and_loses_it(stack: Stack) -> None:
    stack.services = "n-api,horizon"
    enabled = stack.home / "horizon/openstack_dashboard/local/enabled"
    enabled.mkdir(parents=True)
    assert f"setup_develop {ROOT}/nova_qos_dashboard" in stack.run("stack", "install")
    stack.run("stack", "post-config")
    assert [each.name for each in enabled.iterdir()] == ["_2145_admin_qos_panel.py"]
    stack.run("clean")
    assert list(enabled.iterdir()) == []


def test_a_host_without_the_api(stack: Stack) -> None:
    stack.services = "n-cpu"
    before = stack.paste.read_bytes()
    calls = [call for phase in PHASES for call in stack.run("stack", phase)]
    assert stack.paste.read_bytes() == before
    assert any(call.startswith("run_process n-qos ") for call in calls)


@pytest.mark.parametrize(("services", "driver", "warned"), [
    ("n-api", "libvirt", False), ("n-api,n-cpu", "fake", True)])
def test_a_host_without_libvirt(
    stack: Stack, services: str, driver: str, warned: bool
) -> None:
    stack.services, stack.variables["VIRT_DRIVER"] = services, driver
    calls = [call for phase in PHASES for call in stack.run("stack", phase)]
    assert paste.is_enabled(stack.paste)
    assert not [call for call in calls if call.startswith(("run_process", "install_package"))]
    assert any(call.startswith("warn ") for call in calls) is warned


def test_the_exercise_is_run_when_asked_for(stack: Stack) -> None:
    stack.variables["NOVA_QOS_EXERCISE"] = "True"
    _openstack(stack, works=True)
    stack.run("stack", "test-config")
    assert (stack.home / "server").read_text() == ""
    words = (stack.home / "commands").read_text()
    for command in ("server create", "qos set --cpu-priority 2048", "qos unset", "server delete"):
        assert command in words


def test_the_exercise_fails_when_nothing_changes(stack: Stack) -> None:
    _openstack(stack, works=False)
    done = subprocess.run([ROOT / "devstack/exercise.sh"], env=stack._environment(),
                          capture_output=True, text=True)
    assert done.returncode == 1
    assert "has CPU priority '1024', not 2048" in done.stderr
    assert "server delete" in (stack.home / "commands").read_text()


def test_the_exercise_takes_away_only_what_it_made(stack: Stack) -> None:
    _openstack(stack, works=True)
    environment = {**stack._environment(), "NOVA_QOS_IMAGE": "absent"}
    done = subprocess.run([ROOT / "devstack/exercise.sh"], env=environment)
    assert done.returncode == 1
    assert "server delete" not in (stack.home / "commands").read_text()


def _openstack(stack: Stack, works: bool) -> None:
    """A cloud with an agent that is up, where settings do something, or nothing."""
    server, keeps = stack.home / "server", "2048" if works else "1024"
    program = stack.home / "bin/openstack"
    program.parent.mkdir()
    program.write_text(f"""#!/bin/bash
echo "$*" >> {stack.home}/commands
case "$*" in
"compute service list"*) echo up ;;
"image list"*) echo cirros ;;
"server create --image absent"*) exit 1 ;;
"server create"*) echo 1024 > {server} ;;
"server qos set --cpu-priority 2048 "*) echo {keeps} > {server} ;;
"server qos unset --cpu-priority "*) echo 1024 > {server} ;;
"server qos show"*) echo memory 512; echo cpu_priority $(cat {server}) ;;
"server show"*) test -s {server} ;;
"server delete"*) : > {server} ;;
*) exit 2 ;;
esac
""")
    program.chmod(0o755)


def test_every_variable_is_explained() -> None:
    names = set(re.findall(r"^(NOVA_QOS_\w+)=", (ROOT / "devstack/settings").read_text(),
                           re.MULTILINE))
    explained = set(re.findall(r"^``(NOVA_QOS_\w+)``", (ROOT / "devstack/README.rst").read_text(),
                               re.MULTILINE))
    assert names == explained != set()
