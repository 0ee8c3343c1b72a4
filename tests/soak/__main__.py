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
    print(f"\nseed {seed}: {outcome.sets} sets, {outcome.operations} operations, "
          f"{outcome.agent_kills} kills of the agent, {outcome.libvirtd_kills} of libvirtd; "
          f"{len(outcome.differences)} differences")
    if not outcome.differences:
        return 0
    tables.show(HEADS, outcome.differences)
    return 1


if __name__ == "__main__":
    sys.exit(main())
