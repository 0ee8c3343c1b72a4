# SPDX-License-Identifier: Apache-2.0
"""What the host holds for servers, observed: what is read is remembered, and told with its past."""

from collections.abc import Callable, Iterable

from nova_qos.agent import hold
from nova_qos.agent.history import History
from nova_qos.core import errors
from nova_qos.core.reading import Reading
from nova_qos.core.server import POLICY
from nova_qos.host import Host, SeenDomain, Snapshot


class Readings:
    """Reads the servers of one host; used by many threads.

    Among the names of resources may be ``POLICY``: that reading is of the host's copy of the
    policies, the same for all servers, and there whatever can be read of the server.
    """

    def __init__(
        self, machine: Host, history: History, policies: Callable[[], Reading],
        balanced: Callable[[str, str, Reading], Reading] = lambda _uuid, _name, reading: reading,
    ) -> None:
        """
        :param policies: reads the copy of the policies
        :param balanced: says of a server's reading of a resource what the host's balancer has done
        """
        self._machine = machine
        self._history = history
        self._policies = policies
        self._balanced = balanced

    def of(self, server_uuid: str, names: Iterable[str]) -> dict[str, Reading]:
        """A server's readings; a resource that the host cannot do does not spoil the others.

        :raises ServerNotRunning, HostAway: there is nothing to read at all
        """
        names = list(names)
        return self._read(self._machine.look(server_uuid, hold.knobs(names)), server_uuid, names)

    def of_any(self, server_uuid: str, names: Iterable[str]) -> dict[str, Reading]:
        """Like ``of``; where nothing can be read, each reading says why."""
        names = list(names)
        if not names:
            return {}
        try:
            return self.of(server_uuid, names)
        except (errors.ServerNotRunning, errors.HostAway) as error:
            return self.unread(names, error)

    def seen(
        self, snapshot: Snapshot, server_uuid: str, names: Iterable[str]
    ) -> dict[str, Reading]:
        """Like ``of_any``, of a server in a snapshot.

        :raises Unreachable: libvirt does not answer
        """
        names = list(names)
        try:
            return self._read(snapshot.domain(server_uuid), server_uuid, names)
        except errors.Unreachable:
            raise
        except errors.QosError as error:
            return self.unread(names, error)

    def unread(self, names: Iterable[str], error: errors.QosError) -> dict[str, Reading]:
        """What there is to say where nothing of a server can be read."""
        return {name: self._policies() if name == POLICY else Reading.unread(error)
                for name in names}

    def observe(self, server_uuid: str, name: str, reading: Reading) -> Reading:
        """Remember a reading, and return it with why its target is not in force, since when."""
        return self._balanced(
            server_uuid, name, hold.observe(self._history, server_uuid, name, reading))

    def explain(self, server_uuid: str, name: str, reading: Reading) -> Reading:
        """A reading, which may be older than others, with why its target is not in force; nothing
        is remembered."""
        return self._balanced(
            server_uuid, name, self._history.explained(server_uuid, name, reading))

    def _read(
        self, domain: SeenDomain, server_uuid: str, names: Iterable[str]
    ) -> dict[str, Reading]:
        read = hold.read(domain, [name for name in names if name != POLICY])
        return {name: self.observe(server_uuid, name, read[name]) if name in read
                else self._policies() for name in names}
