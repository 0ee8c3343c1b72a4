# SPDX-License-Identifier: Apache-2.0
"""Where everything of the cloud lies and listens."""

import os
from dataclasses import dataclass
from pathlib import Path

PASSWORD = "demo"  # every account's; nothing listens beyond loopback
REGION = "RegionOne"
BROKER_PORT, CACHE_PORT = 25672, 21211
#: Of the agent's metrics.
METRICS_PORT = 19177
#: Of the Prometheus that scrapes them.
PROMETHEUS_PORT = 19090
#: Of Horizon.
DASHBOARD_PORT = 18080
#: Of Watcher's API.
WATCHER_PORT = 19322
#: Of a second nova API, which has no nova-qos.
PLAIN_API_PORT = 18775
PORTS = {"keystone": 15000, "glance": 19292, "placement": 18778, "neutron": 19696, "nova": 18774}
DATABASES = ("keystone", "glance", "placement", "neutron", "nova_api", "nova", "nova_cell0",
             "nova_qos")


@dataclass(frozen=True)
class Layout:
    """The directories below the state directory."""

    state: Path
    repository: Path

    @classmethod
    def of_environment(cls) -> "Layout":
        """As ``NOVA_QOS_DEMO_DIR`` says, else below /var/lib."""
        state = Path(os.environ.get("NOVA_QOS_DEMO_DIR", "/var/lib/nova-qos-demo"))
        return cls(state=state.absolute(), repository=Path(__file__).parents[3])

    @property
    def run(self) -> Path:
        """Pid files and logs of the daemons."""
        return self.state / "run"

    def program(self, name: str, venv: str = "venv") -> str:
        """A program of the virtual environment, or of another one beside it."""
        return str(self.state / venv / "bin" / name)

    def etc(self, service: str) -> Path:
        """A service's configuration directory."""
        return self.state / "etc" / service

    def database_url(self, name: str) -> str:
        """For SQLAlchemy."""
        return f"mysql+pymysql://root@localhost/{name}?unix_socket={self.database_socket}"

    @property
    def database_socket(self) -> Path:
        return self.state / "db.sock"

    @property
    def instances(self) -> Path:
        """Where nova keeps its instances: a file system on a device with the bfq scheduler."""
        return self.state / "instances"


def url(service: str) -> str:
    """A service's address."""
    suffix = {"keystone": "/v3", "nova": "/v2.1"}.get(service, "")
    return f"http://127.0.0.1:{PORTS[service]}{suffix}"


BROKER_URL = f"rabbit://guest:guest@127.0.0.1:{BROKER_PORT}/"
