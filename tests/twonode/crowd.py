# SPDX-License-Identifier: Apache-2.0
"""Three servers on one host, of which one fills the memory that it is guaranteed."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from tests.cloud.api import Person, wait_for
from tests.twonode.host import NodeHost
from tests.twonode.moves import DRIVER_S, reported
from tools.bed.stack.servers import inside
from tools.bed.stack.tenants import NETWORK

_SWAP, _SWAP_MIB = "/var/tmp/swap", 512


@dataclass(frozen=True)
class Crowd:
    """``guaranteed`` fills its guarantee; ``large`` has none and uses much, ``small`` has none and
    uses too little to be of help."""

    guaranteed: str
    large: str
    small: str

    @property
    def all(self) -> tuple[str, str, str]:
        return self.guaranteed, self.large, self.small


@dataclass(frozen=True)
class ShortNow:
    """A host on which memory is missing now, its servers, and the host that they can move to."""

    host: NodeHost
    target: NodeHost
    crowd: Crowd


@contextmanager
def swapping(host: NodeHost) -> Iterator[None]:
    """With swap, as hosts have it: without it, the kernel would end processes."""
    machine = host.node.machine
    machine.run("fallocate", "-l", f"{_SWAP_MIB}M", _SWAP)
    machine.run("chmod", "600", _SWAP)
    machine.run("mkswap", _SWAP)
    machine.run("swapon", _SWAP)
    try:
        yield
    finally:
        machine.run("swapoff", _SWAP, timeout_s=600)
        machine.run("rm", _SWAP)


def occupy(admin: Person, server: str, mib: int) -> None:
    """Have its guest use so much more, and wait until it does."""
    # to write that takes an emulated guest longer than its web server waits
    _inside(admin, server, f"occupy-memory {mib} >/dev/null 2>&1 &")
    wait_for(lambda: occupied_mib(admin, server) == mib, DRIVER_S, "all is occupied")


def occupied_mib(admin: Person, server: str) -> int:
    """What its guest says that it occupies; 0 before it has begun."""
    return int(_inside(admin, server, "stat -c %s /occupied/fill 2>/dev/null || echo 0")) >> 20


def _inside(admin: Person, server: str, script: str) -> str:
    """What a line of shell prints in the guest, over its network."""
    return "\n".join(inside(admin.show(server)["addresses"][NETWORK][0]["addr"], script))


def told(admin: Person, host: NodeHost) -> dict[str, Any]:
    """A host whose agent tells of its servers."""
    return dict(wait_for(
        lambda: (found := reported(admin, host.name)).get("placed") is not None and found,
        DRIVER_S, f"the agent of {host.name} tells of its servers"))


def figures(found: dict[str, Any]) -> str:
    """Those of a host, in a line."""
    memory, placed = found["memory"], sorted(found["placed"], key=lambda each: each["name"])
    return (f"{found['state']}, short {found['short']}, needs {memory['needs']} of "
            f"{memory['capacity']} MiB, {memory['available']} of {memory['total']} available; "
            + ", ".join(f"{each['name']}: need {each['need']}, resident {each['resident']}"
                        for each in placed))


def cheapest(found: dict[str, Any]) -> set[str]:
    """The servers that can move, need together what is missing, and have the fewest MiB to copy;
    found by trying all."""
    missing = found["memory"]["needs"] - found["memory"]["capacity"]
    assert missing > 0, found
    free = [each for each in found["placed"] if each["running"] and each["fixed"] is None]
    ways = [way for number in range(1, len(free) + 1) for way in combinations(free, number)
            if sum(each["need"] for each in way) >= missing]
    best = min(ways, key=lambda way: sum(each["resident"] + each["disk"] for each in way))
    return {each["id"] for each in best}
