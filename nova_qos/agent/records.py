# SPDX-License-Identifier: Apache-2.0
"""What the agent asks of nova: servers with their desired state."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

from nova_qos.core.server import Called, Entries, NewServer, SavedServer


class Record(Protocol):
    """One server as it was loaded.

    What saves raises TaskInProgress (nova is at work on it) and ServerGone, and has then saved
    nothing.
    """

    @property
    def server(self) -> SavedServer:
        """The server with its desired state."""

    @property
    def called(self) -> Called:
        """What it is called by others."""

    @property
    def floating_ips(self) -> frozenset[str]:
        """The floating IPs (IPv4 addresses) of a server of ``on_host``."""

    def save(self, entries: Entries) -> None:
        """Save what was changed."""

    def mend(self) -> None:
        """Save again what nova has overwritten, if it has."""

    def forget(self, names: Iterable[str]) -> None:
        """Remove the marks of resources that have been reset; where the agent keeps a default, the
        mark stays."""

    def mark(self, names: Iterable[str]) -> None:
        """Mark resources without a setting, so that they are reset when nobody asks for what the
        host holds any more."""

    def is_new(self, host: str, since: float) -> bool:
        """Whether it may be new: it was launched on this host after that time (s since 1970), and
        nobody has decided yet whether post-create hooks are to see it."""

    @property
    def is_first_launch(self) -> bool:
        """Whether its launch was that of its creation; asked of a loaded server."""

    def new_server(self) -> NewServer:
        """The server as post-create hooks see it."""

    def request_for_new(self, changes: Mapping[str, int | None]) -> None:
        """Save what hooks give a new server, where nobody else has set it, and that this is
        done."""


class Records(Protocol):
    """All servers."""

    def load(self, server_uuid: str, context: Any = None) -> Record:
        """One server, also what nova has overwritten of its desired state.

        :param context: whose request this is; None = the agent's own
        :raises ServerGone: it was deleted
        """

    def on_host(self, host: str) -> Sequence[Record]:
        """The servers of a host, as nova has them."""

    def busy(self, host: str) -> frozenset[str]:
        """The servers of a host, by uuid, that nova is at work on; takes one short question."""
