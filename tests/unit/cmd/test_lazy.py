# SPDX-License-Identifier: Apache-2.0
"""What the agent never uses is not loaded, and is all there for whoever uses it after all."""

import json
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

# in processes of their own: here, tests have loaded nova
LAZY = """\
import json, sys
from nova_qos.cmd import lazy

def unloaded():
    # type() asks the module for nothing, so it does not load it
    return [name for name in lazy.UNUSED if type(sys.modules.get(name)).__name__ == "_LazyModule"]
"""
AGENT = LAZY + """\
import nova_qos.cmd.agent
from nova import objects
from nova.conductor import api
from oslo_versionedobjects import base

objects.register_all()
# what the agent has nova-conductor send: all objects that may be in it are known
for name in ("InstanceList", "InstanceActionList", "Service"):
    base.obj_tree_get_versions(name)
before = unloaded()
from nova.db.main import models
table = models.Instance.__tablename__
for name in lazy.UNUSED:
    __import__(name)
    dir(sys.modules[name])
import sqlalchemy.orm
print(json.dumps({
    "before": before, "table": table, "after": unloaded(),
    "usable": [hasattr(sqlalchemy.orm, "relationship"), hasattr(api.glance, "API"),
               hasattr(objects, "InstanceMapping")]}))
"""
PLANTED = LAZY + """\
lazy.imports(["planted", "absent"])
import planted
print("imported", flush=True)
try:
    import absent
except ModuleNotFoundError as error:
    print(error)
print(planted.VALUE)
"""


def run(script: str, *path: Path) -> str:
    code = "\n".join([f"import sys; sys.path[:0] = {[str(each) for each in path]}", script])
    return subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code], cwd=Path(__file__).parents[3],
        stdout=subprocess.PIPE, text=True, check=True).stdout


@pytest.fixture(scope="module")
def agent() -> Any:
    if int(metadata.version("nova").partition(".")[0]) < 33:
        pytest.skip("the agent needs nova 33")
    return json.loads(run(AGENT).splitlines()[-1])


def test_agent_has_none_of_it_loaded(agent):
    # which of its own modules use cryptography is a matter of castellan's release
    assert {"nova.db.main.models", "sqlalchemy.orm", "nova.image.glance", "jsonschema",
            "pyroute2.ndb.schema"} <= set(agent["before"])


def test_what_is_touched_is_loaded(agent):
    assert agent["table"] == "instances"
    assert agent["after"] == []
    assert agent["usable"] == [True, True, True]


def test_only_a_touch_runs_a_module_and_absent_ones_are_absent_at_once(tmp_path):
    (tmp_path / "planted.py").write_text("print('loaded')\nVALUE = 'touched'\n")
    assert run(PLANTED, tmp_path).splitlines() == [
        "imported", "No module named 'absent'", "loaded", "touched"]
