# SPDX-License-Identifier: Apache-2.0
"""The outbound traffic of servers: each uplink is divided among them."""

import socket
from collections.abc import Mapping, Sequence

from nova_qos.host import Floating, Interfaces
from nova_qos.net import uplinks
from nova_qos.net.choice import ChoiceTable
from nova_qos.net.direction import BYTES_PER_MBIT, Direction
from nova_qos.net.layout import Rules
from nova_qos.net.marks import Marks
from nova_qos.net.netlink import Netlink
from nova_qos.net.objects import Objects
from nova_qos.net.setting import GUARANTEE

#: Bits of a mark that neutron, kube-proxy and Calico leave free.
DEFAULT_MARK_MASK = 0x1FFF


class Outbound(Direction):
    """A ``Network`` for what servers send to outside of their host."""

    def __init__(
        self, names: Sequence[str], rate_mbit: int, default_weight: int,
        mark_mask: int = DEFAULT_MARK_MASK, table: str = "nova_qos",
    ) -> None:
        """
        :param names: the uplinks; none = those of the default route
        :param rate_mbit: what all servers may send together through each uplink, in Mbit/s
        :param default_weight: of a server without a priority, 1 to 99
        :param mark_mask: the bits of a packet's mark to use
        """
        super().__init__(rate_mbit * BYTES_PER_MBIT, default_weight, GUARANTEE, Marks(mark_mask))
        self._names = tuple(names)
        self._table = ChoiceTable(table, self._marks)
        # written under the lock alone: the uplinks as they were found last, and the addresses that
        # the host itself may send from
        self._found: Sequence[str] = ()
        self._host_macs: set[str] = set()
        # None until somebody tells them, or those that an earlier agent has left were looked for
        self._floating: Floating | None = None

    def _opened(self, kernel: Netlink, remember: bool) -> Objects:
        def names(kernel: Netlink) -> Sequence[str]:
            found = self._names or self._found or uplinks.of_default_route(kernel)
            if remember:
                self._found = found
            return found

        return Objects(kernel, self._table, names, self._capacity)

    def _hear(self, floating: Floating | None) -> None:
        self._found = ()
        if floating is not None:
            self._floating = floating

    def _look_around(self, objects: Objects) -> None:
        self._host_macs = objects.host_macs()

    def _learn(self, rules: Rules, minors: Mapping[str, int]) -> None:
        if self._floating is None:
            self._floating = {
                server: [address for address, of in rules.addresses.items() if of == minor]
                for server, minor in minors.items()}

    def _rules(
        self, running: Mapping[str, Interfaces], minors: Mapping[str, int], devices: set[int]
    ) -> Rules:
        rules = Rules(host_macs=self._host_macs, gates=devices)
        # in one request: one by one they take longer than all the rest
        indexes = {name: index for index, name in socket.if_nameindex()}
        for server, minor in minors.items():
            rules.marks[self._marks.of(minor)] = minor
            for address in (self._floating or {}).get(server, ()):
                rules.addresses[address] = minor
            for each in running[server]:
                # the first of two servers with one address keeps it; their marks tell them apart
                if each.obstacle is None:
                    rules.macs.setdefault(each.mac, minor)
                if each.tap in indexes:
                    rules.taps[indexes[each.tap]] = minor
        return rules
