# SPDX-License-Identifier: Apache-2.0
"""Memory that can be made scarce: of a whole host, or of one control group."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from tools.bed.debian import run


@dataclass(frozen=True)
class HostFigures:
    """What is left, what lies in the swap now, and what came from there and went there since some
    time; MiB."""

    left_mib: float
    swapped_mib: float
    in_mib: float
    out_mib: float


class Scarce(Protocol):
    """The memory that guests share."""

    @property
    def budget_mib(self) -> int:
        """What balancing has to be told that they may use now; 0 where it sees that by itself."""

    def start(self) -> None:
        """Before any guest runs."""

    def remove(self) -> None:
        """Leave nothing behind; no guest runs any more."""

    def leave(self, wanted_mib: float) -> None:
        """Leave guests so much beyond what they had at rest."""

    def plenty(self) -> None:
        """Leave them all that they want."""

    def bring_back(self) -> None:
        """Have in memory again what was swapped."""

    def figures(self) -> HostFigures:
        """Of this moment."""


class SwapFile:
    """A file of our own that the kernel swaps to for a while; no other swap is touched."""

    def __init__(self, path: Path, mib: int) -> None:
        self.path, self._mib = path, mib

    def start(self) -> None:
        """Raises TestbedError with the reason where a file cannot be swapped to."""
        run("fallocate", "-l", f"{self._mib}M", self.path)
        self.path.chmod(0o600)
        run("mkswap", self.path)
        run("swapon", self.path)

    def bring_back(self) -> None:
        """Empty it."""
        run("swapoff", self.path)
        run("swapon", self.path)

    def remove(self) -> None:
        """Take it away, also where a run that was killed has left it."""
        if self.is_on():
            run("swapoff", self.path)
        self.path.unlink(missing_ok=True)

    def is_on(self) -> bool:
        """Whether the kernel swaps to it."""
        lines = Path("/proc/swaps").read_text().splitlines()[1:]
        return any(line.split()[0] == str(self.path) for line in lines)


@contextmanager
def in_use(scarce: Scarce) -> Iterator[None]:
    """Start it, and take it away at the end, however that comes."""
    try:
        scarce.start()
        yield
    finally:
        scarce.remove()


def host_memory_mib() -> dict[str, float]:
    """/proc/meminfo in MiB."""
    lines = Path("/proc/meminfo").read_text().splitlines()
    return {name: int(rest.split()[0]) / 1024 for name, rest in (
        line.split(":", 1) for line in lines)}


def paging_mib(counter: str) -> float:
    """A counter of pages of the whole machine, such as pswpin, in MiB."""
    return next(int(line.split()[1]) / 256 for line in
                Path("/proc/vmstat").read_text().splitlines() if line.split()[0] == counter)
