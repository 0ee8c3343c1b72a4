# SPDX-License-Identifier: Apache-2.0
"""Run on a node: what its host holds for a server, by tools that are not ours, as JSON.

``look.py held UUID`` prints settings; ``look.py leftovers UUID MAC`` what is still there of a
server that has left; ``look.py arrival SECONDS WANTED`` waits for a server that libvirt
resumes after its migration and prints after how many seconds its ``groups`` held what is wanted,
and after how many its ``network`` did; less than 0 when that was before it ran.
"""

import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from tools.bed.libvirtd import of_this_machine
from tools.bed.observer import Observer, group_of, number_in
from tools.bed.uplink import Uplink

OBSERVER = Observer(of_this_machine(Path()), Uplink("eth1"))
_SLICE = Path("/sys/fs/cgroup/machine.slice")
#: More often would slow down what is looked at.
_POLL_S = 0.2


class Changes:
    """Listens to what tc and nft tell of changes, since asking them takes long here."""

    def __init__(self) -> None:
        self._last: dict[str, float] = {}
        self._tools = {
            name: subprocess.Popen(["stdbuf", "-oL", name, "monitor"], stdout=subprocess.PIPE)
            for name in ("tc", "nft")}
        for name in self._tools:
            threading.Thread(target=self._listen, args=[name], daemon=True).start()

    def last(self) -> float:
        """When the last change was told of, and listen no more."""
        for name, tool in self._tools.items():
            # one that had ended would make it look earlier
            if tool.poll() is not None or name not in self._last:
                raise SystemExit(f"{name} monitor has ended, or told of no change")
            tool.terminate()
        return max(self._last.values())

    def _listen(self, name: str) -> None:
        printed = self._tools[name].stdout
        assert printed is not None
        for _ in printed:
            self._last[name] = time.time()


def groups(place: Path) -> dict[str, int]:
    """What the kernel's files say, as they are."""
    files = ("cpu.weight", "io.bfq.weight", "memory.low")
    return {file: number_in(place / file) for file in files}


def held(server: str) -> dict[str, object]:
    memory_kib = OBSERVER.virsh_value("dommemstat", server, "actual")
    return {**groups(OBSERVER.group(server)), **limits(server), "memory": memory_kib // 1024,
            "net": OBSERVER.network_priority(server)}


def limits(server: str) -> dict[str, object]:
    """A guarantee, and limits, as each tool shows them."""
    _tap, mac = OBSERVER.interface(server)
    name = OBSERVER.uplink.class_of(mac) if OBSERVER.uplink.has_table() else None
    found = OBSERVER.uplink.classes().get(name) if name else None
    return {"memory.min": number_in(OBSERVER.group(server) / "memory.min"),
            "total_iops_sec": int(OBSERVER.throttling(server)["total_iops_sec"]),
            "ceil": found.ceil if found else None}


def leftovers(server: str, mac: str) -> list[str]:
    """Sentences; none when nothing is left."""
    found = []
    if server in OBSERVER.libvirt.virsh("list", "--all", "--uuid").split():
        found.append("libvirt knows it")
    ruleset = subprocess.run(["nft", "list", "ruleset"], check=True, capture_output=True, text=True)
    if mac in ruleset.stdout:
        found.append("nft has its address")
    protected = sum(number_in(each / "memory.low") for each in _SLICE.glob("*.scope"))
    if number_in(_SLICE / "memory.low") != protected:
        found.append(f"machine.slice protects other than its servers' {protected} bytes")
    return found


def arrival(seconds: float, wanted: dict[str, int]) -> dict[str, float]:
    changes = Changes()
    name, tap, began = _resumed(seconds)
    place = group_of(OBSERVER.libvirt.qemu_pid(name))
    end = time.time() + seconds
    in_groups = {file: value for file, value in wanted.items() if file != "net"}
    _until(in_groups, lambda: groups(place), end)
    in_groups_s = time.time() - began
    _until(wanted["net"], lambda: OBSERVER.uplink.priority_by_mark(tap), end)
    return {"groups": in_groups_s, "network": changes.last() - began}


def _resumed(seconds: float) -> tuple[str, str, float]:
    """The next domain that libvirt resumes after its migration, its device, and the moment."""
    events = subprocess.Popen(
        ["stdbuf", "-oL", "virsh", "event", "--event", "lifecycle", "--loop", "--timestamp",
         "--timeout", str(int(seconds))], stdout=subprocess.PIPE, text=True)
    assert events.stdout is not None
    tap = ""
    for line in events.stdout:
        stamp, _, rest = line.partition(": event ")
        if ": Started Migrated" in rest:
            # asked now, since nothing is to come between the guest's start and the look
            tap, _ = OBSERVER.interface(rest.split("'")[3])
        if ": Resumed Migrated" in rest:
            events.terminate()
            moment = datetime.strptime(stamp, "%Y-%m-%d %H:%M:%S.%f%z").timestamp()
            return rest.split("'")[3], tap, moment
    raise SystemExit("no server arrived")


def _until(wanted: object, look: Callable[[], object], end: float) -> None:
    while (now := look()) != wanted:
        if time.time() > end:
            raise SystemExit(f"{now} instead of {wanted}")
        time.sleep(_POLL_S)


def main() -> object:
    kind, *words = sys.argv[1:]
    if kind == "held":
        return held(words[0])
    if kind == "leftovers":
        return leftovers(words[0], words[1])
    return arrival(float(words[0]), json.loads(words[1]))


if __name__ == "__main__":
    print(json.dumps(main()))
