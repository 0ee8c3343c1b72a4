# SPDX-License-Identifier: Apache-2.0
"""What an evaluation consists of, and what became of each part."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

#: Files beside the experiments' directories.
ABOUT, OUTCOMES = "about.json", "outcomes.json"

#: In the order of making.
EXPERIMENTS = {
    "memory": "Memory moves between servers (5.1.1)",
    "cpu": "CPU shares (5.2)",
    "disk": "I/O weights (5.3)",
    "network": "Network bandwidth (5.4.2)",
    "cpu-limits": "CPU limits and guarantees",
    "disk-limits": "Disk limits",
    "network-limits": "Outbound limits and guarantees",
    "inbound": "What servers receive",
    "guarantees": "What guarantees refuse",
    "policy": "Edits of a policy",
    "peers": "Peers: bare virsh and tc",
    "load": "Load on the API",
    "many": "Many servers in one request, by many clients",
    "balancing": "Balancing of memory",
    "soft-limit": "Memory soft limits under pressure (5.1.2)",
}


@dataclass(frozen=True)
class Outcomes:
    """Of a whole evaluation."""

    seed: int
    when: str
    versions: dict[str, str]
    experiments: dict[str, dict[str, Any]]

    @property
    def seconds(self) -> int:
        """How long all experiments took together, whenever each was made."""
        return sum(outcome["seconds"] for outcome in self.experiments.values())

    def why_absent(self, name: str) -> str | None:
        """Why there are no figures of an experiment; None when there are."""
        outcome = self.experiments.get(name)
        if outcome is None:
            return "it was not measured"
        if "left_out" in outcome:
            return f"left out: {outcome['left_out']}"
        return f"it failed: {outcome['failed']}" if "failed" in outcome else None


def load(directory: Path) -> Outcomes:
    """What the measurements have written there.

    :raises OSError: there were none
    """
    about = json.loads((directory / ABOUT).read_text())
    return Outcomes(**about, experiments=json.loads((directory / OUTCOMES).read_text()))
