# SPDX-License-Identifier: Apache-2.0
"""Servers as the agent handles them: desired state to read and to save, without nova's objects.

The agent reaches the database through nova-conductor, which saves system_metadata whole only: what
nova changes in it between load and save, some milliseconds, is lost. So the API saves what users
set, and the agent no more than what nobody else can.
"""

import time
from collections.abc import Iterable, Mapping

from nova import context as nova_context
from nova import exception

from nova_qos.core import desired, errors
from nova_qos.core.server import (
    Called,
    Entries,
    Entry,
    NewServer,
    SavedServer,
    newer,
    next_stamp,
)
from nova_qos.instances import hosts, journal, settings
from nova_qos.instances.journal import Told
from nova_qos.instances.settings import Context, Instance
from nova_qos.resources import TABLE


class Record:
    """One server as it was loaded. What saves raises TaskInProgress and ServerGone, and has then
    saved nothing."""

    def __init__(self, instance: Instance, told: Told | None = None) -> None:
        """:param told: what the server's actions tell, where that is known"""
        self._instance, self._told = instance, told or Told()
        self._server: SavedServer | None = None

    @property
    def server(self) -> SavedServer:
        """The server with its desired state."""
        # the check asks several times, for each server of the host
        if self._server is None:
            self._server = settings.saved_server(self._instance).updated(self._told.changes)
        return self._server

    @property
    def called(self) -> Called:
        """What it is called by others."""
        return settings.called(self._instance)

    @property
    def floating_ips(self) -> frozenset[str]:
        """The floating IPs of a server of ``on_host``."""
        return settings.floating_ips(self._instance)

    def save(self, entries: Entries) -> None:
        """Save what was changed, unless a later change is saved by now."""
        self._save(entries, {})

    def _save(self, entries: Entries, more: Mapping[str, str]) -> None:
        # as late as can be: whatever nova changes after this load is lost
        self._instance = settings.load(self._instance._context, self._instance.uuid)
        self._server = None
        saved, kept = settings.saved_server(self._instance).entries, self._instance.system_metadata
        changes = {**more, **settings.kept_as({
            name: entry for name, entry in entries.items()
            if entry.stamp >= saved.get(name, Entry()).stamp})}
        if all(kept.get(key) == value for key, value in changes.items()):
            return
        for key, value in changes.items():
            if value is None:
                kept.pop(key, None)
            else:
                kept[key] = value
        try:
            self._instance.save(expected_task_state=[None])
        except exception.UnexpectedTaskStateError as error:
            raise errors.TaskInProgress(error.format_message()) from error
        except exception.InstanceNotFound as error:
            raise errors.ServerGone(error.format_message()) from error

    def mend(self) -> None:
        """Save again what nova has overwritten, if it has."""
        lost = newer(self._told.changes, settings.saved_server(self._instance).entries)
        if lost:
            self.save(lost)

    def forget(self, names: Iterable[str]) -> None:
        """Remove the marks of resources that have been reset; where the agent keeps a default, the
        mark stays."""
        entries, kept = self.server.entries, self._kept_defaults()
        self.save({name: Entry(stamp=entries[name].stamp) for name in names
                   if name in entries and entries[name].marked and name not in kept})

    def mark(self, names: Iterable[str]) -> None:
        """Mark resources without a setting, so that they are reset when nobody asks for what the
        host holds any more."""
        entries = self.server.entries
        unmarked = {
            name: Entry(marked=True, stamp=entries.get(name, Entry()).stamp) for name in names
            if entries.get(name, Entry()).value is None
            and not entries.get(name, Entry()).marked}
        if unmarked:
            self.save(unmarked)

    def is_new(self, host: str, since: float) -> bool:
        """Whether it may be new: it was launched on this host after that time (s since 1970), and
        nobody has decided yet whether post-create hooks are to see it."""
        return settings.is_new(self._instance, host, since)

    @property
    def is_first_launch(self) -> bool:
        """Whether its launch was that of its creation."""
        return self._told.is_first_launch

    def new_server(self) -> NewServer:
        """The server as post-create hooks see it."""
        return settings.new_server(self._instance)

    def request_for_new(self, changes: Mapping[str, int | None]) -> None:
        """Save what hooks give a new server, where nobody else has set it, and that this is
        done."""
        server = self.server
        stamp = next_stamp(server.entries, time.time())
        self._save({name: Entry(value, stamp=stamp, by_hook=True)
                    for name, value in changes.items()
                    if name not in server.own and value is not None}, {settings.CREATED: "1"})

    def _kept_defaults(self) -> set[str]:
        flavor = settings.flavor_of(self._instance)
        return {name for name, row in TABLE.items() if desired.keeps_default(row, flavor)}


class Records:
    """All servers, through nova-conductor."""

    def load(self, server_uuid: str, context: Context = None) -> Record:
        """One server, also what nova has overwritten of its desired state.

        :param context: whose request this is; None = the agent's own
        :raises ServerGone: it was deleted
        """
        context = context or nova_context.get_admin_context()
        # the actions last: what they tell may have been added since
        instance = settings.load(context, server_uuid)
        return Record(instance, journal.told(context, server_uuid))

    def on_host(self, host: str) -> list[Record]:
        """The servers of a host, as nova has them."""
        context = nova_context.get_admin_context()
        return [Record(instance) for instance in hosts.on_host(context, host)]

    def busy(self, host: str) -> frozenset[str]:
        """The servers of a host, by uuid, that nova is at work on."""
        return hosts.busy(nova_context.get_admin_context(), host)
