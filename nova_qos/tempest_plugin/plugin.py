# SPDX-License-Identifier: Apache-2.0
"""What Tempest asks a plug-in for: where its tests are, its options and its API client."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from oslo_config import cfg
from tempest import config
from tempest.test_discover import plugins

from nova_qos.tempest_plugin import options

_ROOM = Path(__file__).parent


class NovaQosPlugin(plugins.TempestPlugin):
    """The entry point ``tempest.test_plugins`` leads here."""

    def load_tests(self) -> tuple[str, str]:
        """The directory of the tests, and the one that their modules' names begin at."""
        return str(_ROOM / "tests"), str(_ROOM.parents[1])

    def register_opts(self, conf: Any) -> None:
        """Make the options known to Tempest."""
        conf.register_opts(options.AVAILABLE, group=options.AVAILABLE_GROUP)
        conf.register_group(options.GROUP)
        conf.register_opts(options.OPTIONS, group=options.GROUP)

    def get_opt_lists(self) -> list[tuple[str, Sequence[cfg.Opt]]]:
        """The options for the sample of tempest.conf."""
        return [(options.AVAILABLE_GROUP, options.AVAILABLE), (options.GROUP.name, options.OPTIONS)]

    def get_service_clients(self) -> list[dict[str, Any]]:
        """The client, which asks the endpoint that the tests of nova ask."""
        return [{
            "name": "nova_qos", "service_version": "nova_qos",
            "module_path": "nova_qos.tempest_plugin.client", "client_names": ["QosClient"],
            **config.service_client_config("compute"),
        }]
