# SPDX-License-Identifier: Apache-2.0
"""Shells complete our commands as they do the others'."""

import subprocess
import sys
from pathlib import Path

from nova_qos.resources import BALLOON_COMMAND, NET_PRIORITIES_COMMAND, TABLE

_PROGRAMS = Path(sys.executable).parent


def _printed(*words: str) -> str:
    command = [str(_PROGRAMS / words[0]), *words[1:]]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def test_openstack_completes_our_commands_and_their_options() -> None:
    lines = dict(line.strip().split("=", 1)
                 for line in _printed("openstack", "complete").splitlines() if "=" in line)
    assert lines["cmds_server_qos"].strip("'").split() == [
        "host", "list", "move", "policy", "relieve", "report", "set", "show", "unset"]
    assert lines["cmds_server_qos_host"].strip("'").split() == ["list", "show"]
    assert lines["cmds_server_qos_policy"].strip("'").split() == [
        "add", "create", "delete", "list", "remove", "set", "show", "unset"]
    offered = set(lines["cmds_server_qos_set"].strip("'").split())
    assert offered >= {row.names.option for row in TABLE.values()} | {"--wait", "--timeout"}


def test_nova_completes_our_commands() -> None:
    ours = {BALLOON_COMMAND, NET_PRIORITIES_COMMAND}
    for row in TABLE.values():
        ours |= {row.names.get_command, row.names.set_command}
    assert set(_printed("nova", "bash-completion").split()) >= ours
