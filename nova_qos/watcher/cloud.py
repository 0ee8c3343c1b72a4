# SPDX-License-Identifier: Apache-2.0
"""The cloud as Watcher's credentials see it: what hosts tell, and what may move where."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from keystoneauth1 import exceptions as connection
from openstack import exceptions as sdk
from watcher.common import nova_helper

from nova_qos import client_relief
from nova_qos.client import Client
from nova_qos.client_hosts import HostState, Placed
from nova_qos.client_moves import Moves
from nova_qos.core import errors, relief
from nova_qos.core.moves import Host, Plan
from nova_qos.watcher.limits import Scope

#: All that can go wrong between a strategy and the cloud.
FAILURES = (errors.QosError, sdk.SDKException, connection.ClientException)
_PAUSED = "it is paused, and Watcher moves no paused server live"


@dataclass(frozen=True)
class Cloud:
    """``states`` are the hosts as they tell, ``usable`` those that nova places servers on.
    ``refused`` are pairs of a server and a host that are not to be tried."""

    states: Mapping[str, HostState]
    usable: Collection[str]
    scope: Scope = field(default_factory=Scope)
    refused: Collection[tuple[str, str]] = ()

    @classmethod
    def asked(cls, scope: Scope, refused: Collection[tuple[str, str]]) -> "Cloud":
        """The cloud now.

        :raises ApiRefused: nova has no nova-qos, or Watcher's user is no administrator
        """
        # with the session, the region and the endpoint that Watcher itself has for nova
        nova = nova_helper.NovaHelper().connection.compute
        states = {each.name: each for each in Client(nova).hosts(servers=True)}
        return cls(states, Moves(nova).usable_hosts(), scope, refused)

    def require(self, names: Sequence[str]) -> None:
        """Make sure that hosts with these names can be relieved.

        :raises NoSuchHost: there is none of a name, or it is not in the audit's scope
        :raises Unreachable: its agent does not tell of its servers
        """
        for name in names:
            if name not in self.states:
                raise errors.NoSuchHost(f"There is no compute host {name}.")
            if not self.scope.has(name):
                raise errors.NoSuchHost(f"{name} is not in the audit's scope.")
            if not client_relief.tells(self.states[name]):
                reason = self.states[name].reason
                raise errors.Unreachable(
                    f"The agent of {name} does not tell of its servers"
                    f"{f': {reason}' if reason else ''}.")

    def short(self, names: Collection[str]) -> list[str]:
        """The hosts that are short, of these; of all where there are none."""
        return sorted(each.name for each in self._hosts((), 0.0)
                      if each.is_short and (not names or each.name in names))

    def silent(self) -> list[str]:
        """The hosts whose agents do not tell of their servers."""
        return sorted(name for name, state in self.states.items()
                      if self.scope.has(name) and not client_relief.tells(state))

    def plan(self, sources: Collection[str], to: Collection[str]) -> Plan:
        """Moves that each help by themselves, since Watcher makes several at a time, and goes on
        after one has failed.

        :param to: hosts that servers may go to; none: all
        """
        return client_relief.with_cushion(lambda cushion: relief.plan(
            self._hosts(to, cushion), sources, lambda server, host: (server, host) in self.refused,
            may_make_room=False))

    def placed(self, host: str, server: str) -> Placed:
        """A server of a host."""
        (found,) = (each for each in self.states[host].placed or () if each.id == server)
        return found

    def _hosts(self, to: Collection[str], cushion: float) -> list[Host]:
        return [client_relief.host(
            state, self._fixed(state), name in self.usable and (not to or name in to), cushion)
            for name, state in self.states.items()
            if self.scope.has(name) and client_relief.tells(state)]

    def _fixed(self, state: HostState) -> dict[str, str]:
        found = {each.id: _PAUSED if each.paused else self.scope.why_not(each.id)
                 for each in state.placed or ()}
        return {key: why for key, why in found.items() if why is not None}
