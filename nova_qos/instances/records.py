# SPDX-License-Identifier: Apache-2.0
"""Servers as the agent handles them: desired state to read and to save, without nova's objects."""

from collections.abc import Iterable, Mapping

from nova import context as nova_context

from nova_qos.core.server import NewServer, SavedServer
from nova_qos.instances import hosts, settings
from nova_qos.instances.settings import Context, Instance


class Record:
    """One server as it was loaded. What saves raises TaskInProgress and ServerGone."""

    def __init__(self, context: Context, instance: Instance) -> None:
        self._context, self._instance = context, instance

    @property
    def server(self) -> SavedServer:
        """The server with its desired state."""
        return settings.saved_server(self._instance)

    def request(self, changes: Mapping[str, int | None]) -> None:
        """Save settings; None unsets one and marks it for reset."""
        settings.request(self._instance, changes)

    def restore(self, before: SavedServer, names: Iterable[str]) -> None:
        """Put the named settings back to what they were, whatever nova does with the server."""
        settings.restore(self._context, before, names)

    def forget(self, names: Iterable[str]) -> None:
        """Take the marks off what was reset."""
        settings.forget(self._instance, names)

    def forget_anyway(self, names: Iterable[str]) -> None:
        """As ``forget``, whatever nova does with the server."""
        settings.forget_anyway(self._context, self.server.uuid, names)

    def mark_defaults(self) -> None:
        """Mark the defaults that the agent keeps, so that they are reset when it keeps them no
        more."""
        settings.mark_defaults(self._instance)

    def is_new(self, host: str, since: float) -> bool:
        """Whether post-create hooks are to see it: it was created on this host after that time
        (s since 1970)."""
        return settings.is_new(self._instance, host, since)

    def new_server(self) -> NewServer:
        """The server as post-create hooks see it."""
        return settings.new_server(self._instance)

    def request_for_new(self, changes: Mapping[str, int | None]) -> None:
        """Save what hooks give a new server, where nobody else has set it."""
        settings.request_for_new(self._instance, changes)


class Records:
    """All servers, through nova-conductor."""

    def load(self, server_uuid: str, context: Context = None) -> Record:
        """One server.

        :param context: whose request this is; None = the agent's own
        :raises ServerGone: it was deleted
        """
        context = context or nova_context.get_admin_context()
        return Record(context, settings.load(context, server_uuid))

    def on_host(self, host: str) -> list[Record]:
        """The servers of a host."""
        context = nova_context.get_admin_context()
        return [Record(context, instance) for instance in hosts.on_host(context, host)]
