# SPDX-License-Identifier: Apache-2.0
"""What is known of the kernel between two changes."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from nova_qos.host import Interfaces
from nova_qos.net import division
from nova_qos.net.division import Wish
from nova_qos.net.layout import Layout
from nova_qos.net.uplinks import Uplink


@dataclass(frozen=True)
class Known:
    """What the kernel holds, whose each class is, and the servers and wishes, by class, that it was
    made for; neither of these where it was listed."""

    layout: Layout
    minors: Mapping[str, int]
    running: Mapping[str, Interfaces] = field(default_factory=dict)
    wishes: Mapping[int, Wish] = field(default_factory=dict)

    def with_wish(
        self, server: str, wish: Wish, capacity: int, uplinks: Iterable[Uplink]
    ) -> "Known | None":
        """The same after the wish of one server has changed; None where other classes change, too,
        or the server has none."""
        minor = self.minors.get(server)
        if minor is None or minor not in self.wishes:
            return None
        trees = {}
        for each in uplinks:
            there = self.layout.trees.get(each.index, {})
            share = division.changed_alone(
                self.wishes, minor, wish, there, capacity, each.mtu)
            if share is None:
                return None
            trees[each.index] = {**there, minor: share}
        return replace(self, layout=Layout(trees, self.layout.rules),
                       wishes={**self.wishes, minor: wish})
