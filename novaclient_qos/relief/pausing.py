# SPDX-License-Identifier: Apache-2.0
"""The last resort: guests of a host that is short are paused, and let run again later.

Which ones stands in nova's metadata of each server, under KEY with the host's name: there it is
found from any shell, the server's owner sees why it stands still, and it goes with the server.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from nova_qos.client_hosts import Placed
from nova_qos.client_moves import Moves, ServerNow
from nova_qos.core.errors import ApiRefused
from novaclient_qos.osc.cloud import sentence

KEY = "nova_qos_paused"
_PAUSED, _ACTIVE = "PAUSED", "ACTIVE"


@dataclass(frozen=True)
class Paused:
    """What became of a server that was to be paused, or to run again."""

    name: str
    host: str
    result: str
    details: str = ""

    @property
    def has_failed(self) -> bool:
        """Whether it is not as it was to be."""
        return self.result == "failed"


def chosen(
    servers: Iterable[Placed], missing_mib: int, paused: Collection[str] = ()
) -> list[Placed]:
    """Those to pause so that what they need is as much as is missing: the lowest memory priority
    first, then those without a guarantee, then those that need most. What is paused already counts.

    :param paused: the ids of the servers that nova has paused; agents may learn it a minute later
    """
    running = [each for each in servers if each.running]
    missing_mib -= sum(each.need for each in running if each.id in paused)
    found = []
    for each in sorted((each for each in running if each.id not in paused), key=lambda each: (
            each.memory_priority, each.guaranteed.get("memory", 0) > 0, -each.need, each.id)):
        if missing_mib <= 0:
            break
        found.append(each)
        missing_mib -= each.need
    return found


def pause(moves: Moves, host: str, servers: Sequence[Placed]) -> list[Paused]:
    """Pause each; one that fails leaves the others to be tried."""
    return [_pause(moves, host, each) for each in servers]


def _pause(moves: Moves, host: str, server: Placed) -> Paused:
    name, noted = server.name or server.id, True
    try:
        noted = KEY in moves.server(server.id).metadata
        # first, so that none is ever paused that nobody knows of
        moves.note(server.id, KEY, host)
        moves.pause(server.id)
    except ApiRefused as error:
        # another one that relieves the host may have paused it meanwhile
        if not noted:
            _forget(moves, server.id)
        return Paused(name, host, "failed", sentence(error))
    return Paused(name, host, "paused", f"memory priority {server.memory_priority}")


def undo(moves: Moves, host: str) -> list[Paused]:
    """Let every server run again that was paused for this host, wherever it is now."""
    return [_unpause(moves, each) for each in moves.paused() if each.metadata.get(KEY) == host]


def _unpause(moves: Moves, server: ServerNow) -> Paused:
    try:
        moves.unpause(server.id)
        # last, so that a failure leaves what to try again
        moves.forget(server.id, KEY)
    except ApiRefused as error:
        return Paused(server.name, server.host or "", "failed", sentence(error))
    return Paused(server.name, server.host or "", "runs again")


def _forget(moves: Moves, server_id: str) -> None:
    try:
        moves.forget(server_id, KEY)
    except ApiRefused:
        # a note at a server that is not paused does no harm
        return
