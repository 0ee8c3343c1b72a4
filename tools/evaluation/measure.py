# SPDX-License-Identifier: Apache-2.0
"""All measurements, on a cloud that is up: ``python -m tools.evaluation.measure DIRECTORY``."""

import argparse
import json
import sys
import time
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tools.bed.errors import TestbedError
from tools.bed.stack import leftovers
from tools.bed.stack.layout import Layout
from tools.evaluation import (
    balancing,
    cpu,
    cpu_limits,
    disk,
    disk_limits,
    guarantees,
    inbound,
    load,
    many,
    memory,
    network,
    network_limits,
    peers,
    policy,
    site,
    softlimit,
    versions,
)
from tools.evaluation.outcomes import ABOUT, EXPERIMENTS, OUTCOMES
from tools.evaluation.site import LeftOut, Site

_PERFORM: Mapping[str, Callable[[Site, Path], None]] = {
    "memory": memory.perform, "cpu": cpu.perform, "disk": disk.perform,
    "network": network.perform, "cpu-limits": cpu_limits.perform,
    "disk-limits": disk_limits.perform, "network-limits": network_limits.perform,
    "inbound": inbound.perform, "guarantees": guarantees.perform, "policy": policy.perform,
    "peers": peers.perform, "load": load.perform, "many": many.perform,
    "balancing": balancing.perform,
    # the last one: its virtual machine keeps the processors busy
    "soft-limit": softlimit.perform,
}


def main() -> int:
    """Exit status 0 when every experiment was made."""
    parser = argparse.ArgumentParser(prog="tools.evaluation.measure", description=__doc__)
    parser.add_argument("directory", type=Path, help="where the CSV files go")
    parser.add_argument("--only", action="append", choices=_PERFORM, default=[],
                        help="this experiment; may be given several times")
    parser.add_argument("--seed", type=int, default=1, help="of the order of what is done in turns")
    options = parser.parse_args()
    layout = Layout.of_environment()
    leftovers.mark(layout)  # so that taking the cloud down ends what this has started
    options.directory.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    outcomes: dict[str, dict[str, Any]] = {}
    try:
        print("\nthree servers boot", flush=True)
        with site.opened(layout, options.seed) as here:
            print(f"  they run after {time.monotonic() - began:.0f} s", flush=True)
            for name in options.only or _PERFORM:
                outcomes[name] = _perform(name, here, options.directory)
    except TestbedError as error:
        print(f"\nFAILED: {error}\nlogs of the services: {layout.run}", file=sys.stderr)
        return 1
    _write(options.directory / ABOUT, {
        "seed": options.seed, "when": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
        "versions": versions.all_of_them(layout.repository)})
    _print_times(outcomes, time.monotonic() - began)
    # of an experiment that was not made now, what an earlier run has left counts
    path = options.directory / OUTCOMES
    earlier = json.loads(path.read_text()) if options.only and path.exists() else {}
    _write(path, {**earlier, **outcomes})
    return 1 if any(outcome.get("failed") for outcome in outcomes.values()) else 0


def _print_times(outcomes: Mapping[str, Mapping[str, Any]], whole_s: float) -> None:
    print("\nminutes")
    for name, outcome in outcomes.items():
        print(f"  {name:<16}{outcome['seconds'] / 60:5.1f}")
    print(f"  {'with boots':<16}{whole_s / 60:5.1f}", flush=True)


def _perform(name: str, here: Site, directory: Path) -> dict[str, Any]:
    print(f"\n{EXPERIMENTS[name]}", flush=True)
    began = time.monotonic()
    outcome: dict[str, Any] = {}
    try:
        _PERFORM[name](here, directory)
    except LeftOut as reason:
        print(f"  left out: {reason}", flush=True)
        outcome["left_out"] = str(reason)
    except Exception as error:  # noqa: BLE001  # one that fails takes no other along
        if not isinstance(error, TestbedError):
            traceback.print_exc()
        print(f"  FAILED: {error}", file=sys.stderr, flush=True)
        outcome["failed"] = str(error) or type(error).__name__
    seconds = time.monotonic() - began
    print(f"  {seconds:.0f} s", flush=True)
    return {"seconds": round(seconds), **outcome}


def _write(path: Path, content: object) -> None:
    path.write_text(json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    sys.exit(main())
