# SPDX-License-Identifier: Apache-2.0
from collections.abc import Mapping

from oslo_config import cfg

from nova_qos.core.server import NewServer


class ModestTests:
    """Servers called test-... have less CPU time and network than others."""

    def __init__(self, options: cfg.ConfigOpts) -> None:
        self.host = options.host

    def __call__(self, server: NewServer) -> Mapping[str, int]:
        if not server.name.startswith("test-"):
            return {}
        return {"cpu_priority": 256, "net_priority": 90}
