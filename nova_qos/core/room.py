# SPDX-License-Identifier: Apache-2.0
"""What a host has for its servers, and how much of it is left at this moment."""

from collections.abc import Mapping
from dataclasses import dataclass, field

#: What the kernel tells the pressure of.
PRESSED = ("memory", "cpu", "io")


@dataclass(frozen=True)
class Pressure:
    """The kernel's pressure stall information of one resource (PSI, ``avg10``): the percent of the
    last ten seconds in which some tasks, and in which all tasks, have waited for it; None where the
    kernel does not tell."""

    some: float | None = None
    full: float | None = None


@dataclass(frozen=True)
class Room:
    """A host's own figures.

    ``memory_mib`` is its memory, ``available_mib`` what of it is available without swapping
    (MemAvailable), ``cpus`` the number of its processors. ``capacity`` is what the agent counts
    guarantees against, by ``contention.FAMILIES``, in the API's units; None: there is nothing to
    guarantee. ``pressure`` is by the names of ``PRESSED``; one that the kernel does not tell may be
    missing.
    """

    memory_mib: int
    available_mib: int
    cpus: int
    capacity: Mapping[str, int | None]
    pressure: Mapping[str, Pressure] = field(default_factory=dict)

    @property
    def memory_pressure(self) -> float:
        """The percent of the time in which some task has waited for memory."""
        return self.pressure.get("memory", Pressure()).some or 0.0


@dataclass(frozen=True)
class MemoryNow:
    """A host's memory at one moment, in MiB: all that there is, and what of it is available without
    swapping, less than 0 where more is in use than may be; and the percent of the last ten seconds
    in which some task has waited for memory."""

    memory_mib: float
    available_mib: float
    pressure: float
