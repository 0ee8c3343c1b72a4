# SPDX-License-Identifier: Apache-2.0
"""Run on a node: ``watch.py UUID`` looks about each second at what a server has of the host's
memory, by tools that are not ours, until ``STOP`` is there, and prints what it saw as JSON, all in
MiB: what the kernel's files say of the server's group, virsh of its balloon, and what the host has
available.
"""

import json
import sys
import time
from pathlib import Path

from tools.bed.libvirtd import of_this_machine
from tools.bed.observer import Observer, number_in
from tools.bed.uplink import Uplink

STOP = "/run/nova-qos-watch-stop"
_FILES = {"guaranteed": "memory.min", "swapped": "memory.swap.current"}
_INTERVAL_S = 1.0
_LONGEST_S = 840.0


def look(observer: Observer, server: str, group: Path) -> dict[str, int]:
    seen = {name: number_in(group / file) // 2**20 for name, file in _FILES.items()}
    return {**seen, "held": named(group / "memory.stat", "anon") // 2**20,
            "available": named(Path("/proc/meminfo"), "MemAvailable:") // 1024,
            "balloon": observer.virsh_value("dommemstat", server, "actual") // 1024}


def named(file: Path, name: str) -> int:
    """The number beside a name."""
    rows = (line.split() for line in file.read_text().splitlines())
    return next(int(row[1]) for row in rows if row[0] == name)


def main() -> list[dict[str, int]]:
    observer = Observer(of_this_machine(Path()), Uplink("eth1"))
    server, end = sys.argv[1], time.monotonic() + _LONGEST_S
    group, seen = observer.group(server), []
    while not Path(STOP).exists() and time.monotonic() < end:
        seen.append(look(observer, server, group))
        time.sleep(_INTERVAL_S)
    return seen


if __name__ == "__main__":
    print(json.dumps(main()))
