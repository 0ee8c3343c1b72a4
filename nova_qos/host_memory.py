# SPDX-License-Identifier: Apache-2.0
"""What balancing asks of its machine: the host's memory, its guests', and KSM."""

from collections.abc import Mapping
from typing import Protocol

from nova_qos.core.errors import QosError
from nova_qos.core.guest import Guest
from nova_qos.core.room import MemoryNow


class Ksm(Protocol):
    """Kernel samepage merging, which the whole host shares."""

    def read(self) -> Mapping[str, str]:
        """What the kernel's files hold, by their names; of one that offers a choice, what is
        chosen.

        :raises HostCannot: the kernel has no KSM
        """

    def write(self, values: Mapping[str, str]) -> None:
        """Write into files of these names, in this order.

        :raises HostCannot: the agent may not
        :raises HostRefused: the kernel does not take one
        """


class HostMemory(Protocol):
    """The memory of the host and of its guests."""

    @property
    def ksm(self) -> Ksm:
        """See ``Ksm``."""

    def now(self) -> MemoryNow:
        """The host's memory at this moment; cheap, and no guest is asked.

        :raises HostRefused: the kernel does not tell
        :raises HostAway: nobody tells which servers run
        """

    def guests(self) -> Mapping[str, Guest | QosError]:
        """What every running server's guest does with its memory, by one bulk call; of one whose
        balloon cannot move, or that does not answer, why.

        :raises HostAway: libvirt does not answer
        """

    def set_report_period(self, server_uuid: str, period_s: int) -> None:
        """Have a guest report each so many seconds.

        :raises ServerNotRunning, HostCannot, HostRefused, HostAway: it could not be done
        """
