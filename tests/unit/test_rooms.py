# SPDX-License-Identifier: Apache-2.0
"""What each room may import, and that anything else would be found."""

import pytest

from tools import rooms

ROOMS = rooms.allowed()
#: By the module that they are planted in.
PLANTED = [
    ("nova_qos.core.units", "import oslo_log"),
    ("nova_qos.core.units", "import yaml"),
    ("nova_qos.core.report", "from nova_qos import host"),
    ("nova_qos.core.errors", "from nova_qos.resources import TABLE"),
    ("nova_qos.resources.cpu", "from nova_qos.agent import hold"),
    ("nova_qos.resources.memory", "import cliff"),
    ("nova_qos.host", "import libvirt"),
    ("nova_qos.client", "import stevedore"),
    ("nova_qos.client", "from nova_qos.host import Host"),
    ("nova_qos.instances.settings", "from nova_qos.api import faults"),
    ("nova_qos.instances.settings", "from nova import db"),
    ("nova_qos.bus.client", "from nova_qos.agent import service"),
    ("nova_qos.bus.wire", "from nova import objects"),
    ("nova_qos.api.actions", "import libvirt"),
    ("nova_qos.api.actions", "from nova_qos.agent.hold import hold"),
    ("nova_qos.api.server", "from nova import objects"),
    ("nova_qos.agent.hold", "from nova import objects"),
    ("nova_qos.agent.look", "from nova_qos.instances import settings"),
    ("nova_qos.agent.service", "from nova.api import validation"),
    ("nova_qos.agent.loop", "import pyroute2"),
    ("nova_qos.virt.memory", "import oslo_config"),
    ("nova_qos.virt.host", "from nova_qos.net.outbound import Outbound"),
    ("nova_qos.net.view", "from nova_qos.virt import groups"),
    ("nova_qos.net.objects", "import jeepney"),
    ("nova_qos.watcher.strategy", "from nova import objects"),
    ("nova_qos.watcher.cloud", "from novaclient_qos.relief import situation"),
    ("nova_qos.client_relief", "import keystoneauth1"),
    ("novaclient_qos.words", "import pyroute2"),
    ("novaclient_qos.osc.cloud", "from nova_qos.api import rules"),
    ("nova_qos_hooks.ballooning", "import nova"),
    ("nova_qos_dashboard.cloud", "import nova"),
    ("nova_qos_dashboard.cloud", "from nova_qos.api import rules"),
    ("nova_qos.dry_run.runs", "from novaclient_qos.osc import cloud"),
    ("nova_qos.tempest_plugin.client", "import nova"),
    ("nova_qos.tomorrow", "from nova_qos.core import errors"),
    ("nova_qos.net.outbound", "from . import view"),
]


def test_every_module_imports_what_its_room_may() -> None:
    found = {module: wrong for module, path in rooms.modules()
             if (wrong := rooms.violations(module, path.read_text(), ROOMS))}
    assert found == {}


def test_every_module_lies_in_a_room() -> None:
    assert [module for module, path in rooms.modules()
            if rooms.room_of(module, ROOMS) is None and path.name != "__init__.py"] == []


@pytest.mark.parametrize(("module", "source"), PLANTED)
def test_any_other_import_is_found(module: str, source: str) -> None:
    assert rooms.violations(module, source, ROOMS) != []
    hidden = f"def work():\n    if True:\n        {source}\n"
    assert rooms.violations(module, hidden, ROOMS) != []
