# SPDX-License-Identifier: Apache-2.0
"""The inbound traffic of servers, which comes from outside of their host, divided among them."""

from collections.abc import Mapping, Set
from dataclasses import dataclass

from nova_qos.core import errors
from nova_qos.core.reading import Reading
from nova_qos.core.units import UNLIMITED
from nova_qos.host import Ability, Figures, Interfaces, Neighbours, SeenNetwork
from nova_qos.net import setting
from nova_qos.net.direction import BYTES_PER_MBIT, Direction
from nova_qos.net.forwards import ForwardTable
from nova_qos.net.layout import NO_TOTAL, Rules
from nova_qos.net.marks import Marks
from nova_qos.net.netlink import Netlink
from nova_qos.net.objects import Objects, index_of
from nova_qos.net.outbound import DEFAULT_MARK_MASK
from nova_qos.net.receiver import Receiver

#: The resources whose values the classes hold.
PRIORITY, LIMIT, GUARANTEE = "net_in_priority", "net_in_limit", "net_in_guarantee"
# The names that both directions share within this room.
_NAMES = {PRIORITY: setting.PRIORITY, LIMIT: setting.LIMIT, GUARANTEE: setting.GUARANTEE}
_NO_RATE = ("[tc] htb_rate_in is not set, so there is nothing to share; set it to what the host "
            "can receive, in Mbit/s")


class Inbound(Direction):
    """A ``Network`` for what servers receive from outside of their host: ``net_in_priority`` and so
    on in place of ``net_priority``."""

    def __init__(
        self, rate_mbit: int | None, default_weight: int,
        mark_mask: int = DEFAULT_MARK_MASK, table: str = "nova_qos_in",
    ) -> None:
        """
        :param rate_mbit: what all servers may receive together, in Mbit/s; None = nobody says, so
            that they can be limited alone
        :param default_weight: of a server without a priority, 1 to 99
        :param mark_mask: the bits of a packet's mark to use
        """
        capacity = NO_TOTAL if rate_mbit is None else rate_mbit * BYTES_PER_MBIT
        super().__init__(capacity, default_weight, GUARANTEE, Marks(mark_mask))
        self._has_rate = rate_mbit is not None
        self._table = ForwardTable(table, self._marks)

    def read(self, server_uuid: str, interfaces: Interfaces) -> Mapping[str, Reading]:
        """See ``Network.read``."""
        return _renamed(super().read(server_uuid, interfaces))

    def snapshot(self) -> SeenNetwork:
        """See ``Network.snapshot``."""
        return _Seen(super().snapshot())

    def abilities(self) -> Mapping[str, Ability]:
        """See ``Network.abilities``."""
        found = super().abilities()
        cannot = Ability(cannot=_NO_RATE)
        return {name: found[other] if self._has_rate or name == LIMIT else cannot
                for name, other in _NAMES.items()}

    @property
    def capacity_kbit(self) -> int | None:
        """See ``Network.capacity_kbit``."""
        return super().capacity_kbit if self._has_rate else None

    def admit(
        self, server_uuid: str, values: Mapping[str, int], neighbours: Neighbours
    ) -> None:
        """See ``Network.admit``."""
        self._require_rate(values)
        super().admit(server_uuid, _own(values), neighbours)

    def write(
        self, server_uuid: str, values: Mapping[str, int], neighbours: Neighbours
    ) -> None:
        """See ``Network.write``."""
        self._require_rate(values)
        super().write(server_uuid, _own(values), neighbours)

    def _require_rate(self, values: Mapping[str, int]) -> None:
        for name in PRIORITY, GUARANTEE:
            if not self._has_rate and values.get(name, UNLIMITED) != UNLIMITED:
                raise errors.HostCannot(f"{name}: {_NO_RATE}")

    @property
    def _weight_of_strays(self) -> int:
        # there are none; the class shows to the next agent what one without a limit may take
        return 1

    def _opened(self, kernel: Netlink, remember: bool) -> Objects:
        return Receiver(kernel, self._table, self._capacity)

    def _rules(
        self, running: Mapping[str, Interfaces], minors: Mapping[str, int], devices: Set[int]
    ) -> Rules:
        rules = Rules()
        for server, interfaces in running.items():
            for each in interfaces:
                device = index_of(each.tap) if each.tap else None
                if device is not None:
                    rules.gates.add(device)
                    if server in minors:
                        rules.taps[device] = minors[server]
        return rules


@dataclass(frozen=True)
class _Seen:
    """A ``SeenNetwork``."""

    seen: SeenNetwork

    def read(self, server_uuid: str, interfaces: Interfaces) -> Mapping[str, Reading]:
        return _renamed(self.seen.read(server_uuid, interfaces))

    def figures_of(self, interfaces: Interfaces) -> Figures:
        return self.seen.figures_of(interfaces)

    def figures(self) -> Figures:
        return self.seen.figures()

    @property
    def error(self) -> str | None:
        return self.seen.error


def _own(values: Mapping[str, int]) -> dict[str, int]:
    return {_NAMES[name]: value for name, value in values.items() if name in _NAMES}


def _renamed(readings: Mapping[str, Reading]) -> dict[str, Reading]:
    return {name: readings[other] for name, other in _NAMES.items()}
