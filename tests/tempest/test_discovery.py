# SPDX-License-Identifier: Apache-2.0
"""What Tempest itself finds, without a cloud: the plug-in's tests, its options and its client, and
for each line of the selections a test."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.unit.test_tempest import identifiers
from tools.tempest import selection

ROOT = Path(__file__).parents[2]
# in a process of its own: Tempest changes what configuration and logging are for a process
_LOOK = """
import json, unittest
from pathlib import Path

import tempest
from oslo_config import cfg
from tempest.lib import auth
from tempest.lib.services.clients import ServiceClients
from tempest.test_discover import plugins

def names(suite):
    for each in suite:
        yield from names(each) if isinstance(each, unittest.TestSuite) else [each.id()]

root, loader = Path(tempest.__file__).parent, unittest.TestLoader()
found = loader.discover(str(root / "test_discover"), top_level_dir=str(root.parent))
manager, conf = plugins.TempestTestPluginManager(), cfg.ConfigOpts()
manager.register_plugin_opts(conf)
conf([], default_config_files=[])
someone = auth.KeystoneV3Credentials(
    username="someone", password="secret", project_name="demo", user_domain_name="Default",
    project_domain_name="Default")
client = ServiceClients(someone, "http://127.0.0.1:1").nova_qos.QosClient()
print(json.dumps({
    "errors": loader.errors, "tests": list(names(found)),
    "options": {"available": conf.service_available.nova_qos,
                "priority": conf.nova_qos.cpu_priority, "timeout": conf.nova_qos.apply_timeout},
    "client": {"type": client.service, "class": type(client).__name__},
}))
"""


@pytest.fixture(scope="module")
def known(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    place = tmp_path_factory.mktemp("tempest")
    done = subprocess.run(
        [sys.executable, "-c", _LOOK], capture_output=True, text=True, cwd=place,
        env={**os.environ, "PYTHONPATH": str(ROOT), "TEMPEST_CONFIG_DIR": str(place)})
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def test_tempest_loads_all_tests_of_the_plugin(known: dict[str, Any]) -> None:
    assert known["errors"] == []
    ours = [name for name in known["tests"] if name.startswith("nova_qos.")]
    assert len(ours) == len(list(identifiers()))


@pytest.mark.parametrize("name", ["nova", "plugin"])
def test_every_line_of_a_selection_has_tests(name: str, known: dict[str, Any]) -> None:
    assert selection.expressions(name)
    assert selection.without_a_test(name, known["tests"]) == []


def test_a_line_without_a_test_is_found(known: dict[str, Any]) -> None:
    others = [each for each in known["tests"] if "serial_tests" not in each]
    assert selection.without_a_test("nova", others) == [
        r"^tempest\.serial_tests\.api\.(compute\.)?admin\."]


def test_tempest_knows_the_options(known: dict[str, Any]) -> None:
    assert known["options"] == {"available": True, "priority": 2048, "timeout": 60}


def test_a_person_has_the_client_for_the_compute_api(known: dict[str, Any]) -> None:
    assert known["client"] == {"type": "compute", "class": "QosClient"}
