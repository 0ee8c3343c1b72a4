# SPDX-License-Identifier: Apache-2.0
"""What the contract suite needs from whoever runs it: servers that can be put into any state."""

from contextlib import AbstractContextManager
from typing import Protocol

from nova_qos.host import Host


class Server(Protocol):
    """One server whose guest the suite can treat badly."""

    @property
    def uuid(self) -> str: ...

    @property
    def memory_kib(self) -> int:
        """The memory it was defined with."""

    def pause(self) -> None: ...

    def resume(self) -> None: ...

    def stop(self) -> None: ...

    def resetting(self) -> AbstractContextManager[None]:
        """Its guest is reset; inside, its balloon driver is not up yet, afterwards it is."""

    def occupy(self, memory_mib: int) -> None:
        """Let the guest use that much more memory; 0 gives it back."""

    def read_disk(self, mib: int) -> None:
        """Let the guest read so much from its disk."""


class Bench(Protocol):
    """A host and its servers. Each server is handed out running and as nova would start it."""

    @property
    def host(self) -> Host: ...

    def server(self) -> Server:
        """A healthy server."""

    def driverless(self) -> Server:
        """A server whose guest has no balloon driver."""

    def pinned(self) -> Server:
        """A server whose memory the host holds in place."""

    def away(self) -> AbstractContextManager[None]:
        """Libvirt does not answer inside of this."""

    def pass_time(self, seconds: float) -> None:
        """So long the guests and libvirt do what they do by themselves."""
