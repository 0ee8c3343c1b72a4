# SPDX-License-Identifier: Apache-2.0
"""``python -m tests.soak``: exit status 0 when nothing differs at the end."""

import argparse
import secrets
import sys

from tests.soak import run
from tests.soak.judge import HEADS
from tools.bed import tables


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.soak")
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--seed", type=int, default=None, help="a random one unless given")
    options = parser.parse_args()
    seed = secrets.randbelow(10**6) if options.seed is None else options.seed
    print(f"seed {seed}", flush=True)
    outcome = run.perform(options.minutes * 60, seed)
    counts = ", ".join(f"{number} {what}" for what, number in outcome.counts.items())
    print(f"\nseed {seed}: {counts}; {len(outcome.differences)} differences, "
          f"{len(outcome.wrong)} other faults")
    print(*outcome.wrong, sep="\n")
    if not outcome.differences:
        return 1 if outcome.wrong else 0
    tables.show(HEADS, outcome.differences)
    return 1


if __name__ == "__main__":
    sys.exit(main())
