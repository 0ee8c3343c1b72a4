# SPDX-License-Identifier: Apache-2.0
"""Run on a node: what its host holds for a server, by tools that are not ours, as JSON.

``look.py held UUID`` prints all five resources; ``look.py leftovers UUID MAC`` what is still there
of a server that has left; ``look.py arrival SECONDS WANTED`` waits for a server that libvirt
resumes after its migration and prints after how many seconds its groups held what is wanted.
"""

import json
import subprocess
import sys
import time
from datetime import datetime
from pathlib import Path

from demo import uplink

UPLINK = "eth1"
_SLICE = Path("/sys/fs/cgroup/machine.slice")
_PIDS = Path("/run/libvirt/qemu")
#: More often would slow down what is looked at.
_POLL_S = 0.2


def virsh(*arguments: str) -> list[str]:
    words = ["virsh", "--quiet", *arguments]
    return subprocess.run(words, check=True, capture_output=True, text=True).stdout.split()


def scope(name: str) -> Path:
    """The group that systemd made for a domain's qemu."""
    pid = (_PIDS / f"{name}.pid").read_text().strip()
    path = Path("/sys/fs/cgroup" + Path(f"/proc/{pid}/cgroup").read_text().strip().split("::")[1])
    return next(each for each in path.parents if each.name.endswith(".scope"))


def groups(place: Path) -> dict[str, int]:
    """What the kernel's files say, as they are."""
    files = ("cpu.weight", "io.bfq.weight", "memory.low")
    return {file: int((place / file).read_text().split()[-1]) for file in files}


def held(server: str) -> dict[str, object]:
    name = virsh("domname", server)[0]
    statistics = virsh("dommemstat", server)
    *_, tap, _, _, _, mac = virsh("domiflist", server)
    uplink.DEVICE = UPLINK
    memory_kib = int(statistics[statistics.index("actual") + 1])
    return {**groups(scope(name)), "memory": memory_kib // 1024,
            "net": uplink.priority_of(mac, tap)}


def leftovers(server: str, mac: str) -> list[str]:
    """Sentences; none when nothing is left."""
    found = []
    if server in virsh("list", "--all", "--uuid"):
        found.append("libvirt knows it")
    ruleset = subprocess.run(["nft", "list", "ruleset"], check=True, capture_output=True, text=True)
    if mac in ruleset.stdout:
        found.append("nft has its address")
    protected = sum(int((each / "memory.low").read_text()) for each in _SLICE.glob("*.scope"))
    if int((_SLICE / "memory.low").read_text()) != protected:
        found.append(f"machine.slice protects other than its servers' {protected} bytes")
    return found


def arrival(seconds: float, wanted: dict[str, int]) -> float:
    events = subprocess.Popen(
        ["stdbuf", "-oL", "virsh", "event", "--event", "lifecycle", "--loop", "--timestamp",
         "--timeout", str(int(seconds))], stdout=subprocess.PIPE, text=True)
    assert events.stdout is not None
    for line in events.stdout:
        stamp, _, rest = line.partition(": event ")
        if ": Resumed Migrated" in rest:
            events.terminate()
            began = datetime.strptime(stamp, "%Y-%m-%d %H:%M:%S.%f%z").timestamp()
            return _since(began, scope(rest.split("'")[3]), wanted, time.time() + seconds)
    raise SystemExit("no server arrived")


def _since(began: float, place: Path, wanted: dict[str, int], give_up: float) -> float:
    while groups(place) != wanted:
        if time.time() > give_up:
            raise SystemExit(f"{groups(place)} instead of {wanted}")
        time.sleep(_POLL_S)
    return round(time.time() - began, 2)


def main() -> object:
    kind, *words = sys.argv[1:]
    if kind == "held":
        return held(words[0])
    if kind == "leftovers":
        return leftovers(words[0], words[1])
    return arrival(float(words[0]), json.loads(words[1]))


if __name__ == "__main__":
    print(json.dumps(main()))
