# SPDX-License-Identifier: Apache-2.0
"""The page of a host with a hundred servers, beside Horizon's own page of the same servers, on a
cloud in memory; what Horizon and the cloud compute, in one process.

Usage: ``python -m tests.benchmark.dashboard [--rounds 5]``, where Horizon is installed
"""

import argparse
import sys
import tempfile
from pathlib import Path

from tests.benchmark.compare import Comparison, Goal, compare, report
from tests.dashboard.double import Double
from tests.dashboard.inside import HOST, Browser, set_up

_SERVERS = 100
_INSTANCES = "/admin/instances/"


def measure(rounds: int) -> Comparison:
    """Both pages in turns."""
    with tempfile.TemporaryDirectory() as place, Double() as cloud:
        set_up(Path(place), f"{cloud.url}/v3")
        for number in range(_SERVERS):
            cloud.host.add(f"vm{number}", own={"cpu_priority": 1024 + number})
        person = Browser("admin")
        return compare(
            f"page of a host / of all instances, {_SERVERS} servers", lambda: person.get(HOST),
            lambda: person.get(_INSTANCES), Goal(1.5), rounds)


def main() -> int:
    """Print the figures; the exit status says whether the goal is met."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    return report([measure(parser.parse_args().rounds)])


if __name__ == "__main__":
    sys.exit(main())
