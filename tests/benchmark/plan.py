# SPDX-License-Identifier: Apache-2.0
"""The plan of a host with many servers, half of which have guarantees: no I/O, no other process.

Usage: ``python -m tests.benchmark.plan [--servers 200]``
"""

import argparse
import statistics
import sys
import time

from nova_qos.core.plan import Asked, Capacity, plan
from tests.benchmark.compare import Comparison, Goal, report

_ROUNDS = 20


def measure(count: int) -> float:
    """The median of what it takes to compute it, in milliseconds."""
    asked = {f"server {n}": Asked(2 + 37 * n % 4096, n % 2 * (1 + n % 90), n % 2 * 512)
             for n in range(count)}
    took_ms = []
    for _ in range(_ROUNDS):
        began = time.perf_counter()
        plan(asked, Capacity(100 * count, 2**20, 262144))
        took_ms.append(1000 * (time.perf_counter() - began))
    return statistics.median(took_ms)


def main() -> int:
    """Print the figures; the exit status says whether the goal is met."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--servers", type=int, default=200)
    count = parser.parse_args().servers
    return report([Comparison(
        f"plan of {count} servers / of 5", measure(count), measure(5), Goal(50, "ms"))])


if __name__ == "__main__":
    sys.exit(main())
