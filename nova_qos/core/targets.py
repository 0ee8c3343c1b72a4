# SPDX-License-Identifier: Apache-2.0
"""The hosts that servers can move to, in the order of the memory that they have left. Pure."""

from bisect import bisect_left, insort
from collections.abc import Callable, Iterable, Iterator, Sequence
from heapq import nsmallest

from nova_qos.core.moves import Host, Server

#: Whether nova is known to refuse a server, by its id, on a host.
Refuses = Callable[[str, str], bool]
#: On how many hosts it is tried to make room for a server, and with how many servers of each.
_HOSTS_TRIED, _SERVERS_TRIED = 20, 3


class Targets:
    """Finds places, and changes with each server that comes or goes."""

    def __init__(self, hosts: Sequence[Host], refuses: Refuses) -> None:
        self._hosts = {host.name: host for host in hosts}
        self._order = sorted((host.left[0], host.name) for host in hosts)
        self._refuses = refuses

    def find(self, server: Server, but: str | None = None) -> str | None:
        """The host with the least memory left that can keep the server, so that large holes are
        kept for large servers; None: there is none."""
        for _left, name in self._order[bisect_left(self._order, (server.takes[0], "")):]:
            if name != but and self._hosts[name].fits(server) and not self._refuses(
                    server.key, name):
                return name
        return None

    def with_room_made(self, server: Server) -> tuple[Server, str, str] | None:
        """A server that can go on from its host to a further one, so that this one can come there;
        the one with the least to copy. None: there is none."""
        ways = list(self._ways(server))
        return min(ways, key=lambda way: (way[0].cost_mib, way[0].key)) if ways else None

    def _ways(self, server: Server) -> Iterator[tuple[Server, str, str]]:
        roomiest = (name for _left, name in reversed(self._order)
                    if not self._refuses(server.key, name))
        for name, _number in zip(roomiest, range(_HOSTS_TRIED), strict=False):
            for onward in self._onward(self._hosts[name], server):
                further = self.find(onward, but=name)
                if further is not None:
                    yield onward, name, further
                    break

    def _onward(self, host: Host, server: Server) -> Iterable[Server]:
        """Servers without which the host can keep the server, those with the least to copy."""
        lacking = [(index, takes - left) for index, (takes, left) in enumerate(
            zip(server.takes, host.left, strict=True)) if takes > max(0, left)]
        return nsmallest(_SERVERS_TRIED, (
            each for each in host.servers if each.fixed is None
            and all(each.takes[index] >= lacks for index, lacks in lacking)),
            key=lambda each: (each.cost_mib, each.key))

    def change(self, name: str, change: Callable[[Host], Host]) -> None:
        """Put a host as it is then in the place of what it was."""
        host = self._hosts[name]
        del self._order[bisect_left(self._order, (host.left[0], name))]
        self._hosts[name] = host = change(host)
        insort(self._order, (host.left[0], name))
