# SPDX-License-Identifier: Apache-2.0
"""Run on a node: what its host holds for a server, by tools that are not ours, as JSON.

``look.py held UUID`` prints all five resources; ``look.py leftovers UUID MAC`` what is still there
of a server that has left; ``look.py arrival SECONDS WANTED`` waits for a server that libvirt
resumes after its migration and prints after how many seconds its groups held what is wanted, and
after how many the uplink did too.
"""

import json
import subprocess
import sys
import time
from collections.abc import Callable
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
    tap, mac = interface(name)
    memory_kib = int(statistics[statistics.index("actual") + 1])
    return {**groups(scope(name)), "memory": memory_kib // 1024,
            "net": uplink.priority_of(mac, tap)}


def interface(name: str) -> tuple[str, str]:
    """The device and the address of a domain's interface."""
    *_, tap, _, _, _, mac = virsh("domiflist", name)
    return tap, mac


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


def arrival(seconds: float, wanted: dict[str, int]) -> dict[str, float]:
    events = subprocess.Popen(
        ["stdbuf", "-oL", "virsh", "event", "--event", "lifecycle", "--loop", "--timestamp",
         "--timeout", str(int(seconds))], stdout=subprocess.PIPE, text=True)
    assert events.stdout is not None
    tap = ""
    for line in events.stdout:
        stamp, _, rest = line.partition(": event ")
        if ": Started Migrated" in rest:
            tap, _ = interface(rest.split("'")[3])
        if ": Resumed Migrated" in rest:
            events.terminate()
            began = datetime.strptime(stamp, "%Y-%m-%d %H:%M:%S.%f%z").timestamp()
            seen_s = _seen_s(scope(rest.split("'")[3]), tap, wanted, time.time() + seconds)
            return {what: moment_s - began for what, moment_s in seen_s.items()}
    raise SystemExit("no server arrived")


def _seen_s(place: Path, tap: str, wanted: dict[str, int], end_s: float) -> dict[str, float]:
    in_groups = {**wanted}
    priority = in_groups.pop("net")
    return {"groups": _until(in_groups, lambda: groups(place), end_s),
            "all": _until(priority, lambda: uplink.priority_by_mark(tap), end_s)}


def _until(wanted: object, look: Callable[[], object], end_s: float) -> float:
    while (now := look()) != wanted:
        if time.time() > end_s:
            raise SystemExit(f"{now} instead of {wanted}")
        time.sleep(_POLL_S)
    return time.time()


def main() -> object:
    kind, *words = sys.argv[1:]
    uplink.DEVICE = UPLINK
    if kind == "held":
        return held(words[0])
    if kind == "leftovers":
        return leftovers(words[0], words[1])
    return arrival(float(words[0]), json.loads(words[1]))


if __name__ == "__main__":
    print(json.dumps(main()))
