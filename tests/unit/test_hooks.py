# SPDX-License-Identifier: Apache-2.0
"""The hook that the documentation shows."""

from nova_qos.agent.hooks import Hooks
from nova_qos.core.server import Flavor, NewServer
from tests.fakehost import FakeDomain
from tests.unit.example_hook import ModestTests


class Options:
    host = "compute"

    class nova_qos:
        hook_timeout = 5


def test_the_example_of_the_documentation() -> None:
    hooks = Hooks({"modest_tests": ModestTests(Options())}, Options())
    for name, settings in (("test-1", {"cpu_priority": 256, "net_priority": 90}), ("web", {})):
        server = NewServer("uuid", name, "project", Flavor(512), {})
        assert hooks.settings(server, FakeDomain(), {}) == settings
