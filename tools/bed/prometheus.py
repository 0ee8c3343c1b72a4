# SPDX-License-Identifier: Apache-2.0
"""A Prometheus of one's own on loopback, with our example of its configuration and our rules."""

import json
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any

import yaml

from .processes import Daemon

ETC = Path(__file__).parents[2] / "etc/nova-qos/prometheus"
RULES = ETC / "nova-qos.rules.yml"


def daemon(place: Path, agent: str, listen: str, interval: str) -> Daemon:
    """A Prometheus that is ready when it has scraped the agent; all of it lies in ``place``.

    :param agent: the address of the agent's metrics
    :param listen: its own
    :param interval: how often it scrapes and evaluates the rules, as Prometheus writes it
    """
    settings = yaml.safe_load((ETC / "prometheus.yml").read_text())
    (scraped,) = settings["scrape_configs"]
    # no longer than the interval
    scraped["scrape_timeout"] = interval
    scraped["static_configs"] = [{"targets": [agent]}]
    settings["global"] = dict.fromkeys(settings["global"], interval)
    place.mkdir(parents=True, exist_ok=True)
    (place / "prometheus.yml").write_text(yaml.safe_dump(settings))
    (place / RULES.name).write_bytes(RULES.read_bytes())

    def is_ready() -> bool:
        try:
            return bool(ask(listen, "query", query="up == 1")["result"])
        except OSError:
            return False

    return Daemon("prometheus", [
        "prometheus", f"--config.file={place}/prometheus.yml",
        f"--storage.tsdb.path={place}/data", f"--web.listen-address={listen}",
    ], place, is_ready, ready_timeout_s=60)


def ask(listen: str, what: str, **parameters: str) -> Any:
    """What its API answers, such as ``ask("127.0.0.1:9090", "query", query="up")``.

    :raises OSError: it does not answer, or refuses
    """
    url = f"http://{listen}/api/v1/{what}?{urllib.parse.urlencode(parameters)}"
    with urllib.request.urlopen(url, timeout=10) as answer:
        return json.load(answer)["data"]
