# SPDX-License-Identifier: Apache-2.0
"""The memory of a whole virtual host, made scarce by huge pages that nobody uses."""

from pathlib import Path

from tools.bed.balance.scarce import HostFigures, SwapFile, host_memory_mib, paging_mib

_HUGE_PAGES, _HUGE_MIB = Path("/proc/sys/vm/nr_hugepages"), 2
_DROP_CACHES = Path("/proc/sys/vm/drop_caches")


class WholeHost:
    """See ``scarce.Scarce``."""

    #: Balancing sees the host's memory.
    budget_mib = 0

    def __init__(self, swap: Path, swap_mib: int) -> None:
        self._swap = SwapFile(swap, swap_mib)

    def start(self) -> None:
        """See ``Scarce``."""
        self._swap.start()

    def remove(self) -> None:
        """See ``Scarce``."""
        self.plenty()
        self._swap.remove()

    def leave(self, wanted_mib: float) -> None:
        """See ``Scarce``."""
        self.plenty()
        _DROP_CACHES.write_text("3")
        take_mib = host_memory_mib()["MemAvailable"] - wanted_mib
        assert take_mib > 0, f"the host has no {wanted_mib} MiB to leave"
        _HUGE_PAGES.write_text(str(int(take_mib / _HUGE_MIB)))
        print(f"available: {host_memory_mib()['MemAvailable']:.0f} MiB")

    def plenty(self) -> None:
        """See ``Scarce``."""
        _HUGE_PAGES.write_text("0")

    def bring_back(self) -> None:
        """See ``Scarce``."""
        self._swap.bring_back()

    def figures(self) -> HostFigures:
        """See ``Scarce``."""
        host = host_memory_mib()
        return HostFigures(host["MemAvailable"], host["SwapTotal"] - host["SwapFree"],
                           paging_mib("pswpin"), paging_mib("pswpout"))
