# SPDX-License-Identifier: Apache-2.0
"""What a server asks for of the traffic one way."""

from collections.abc import Mapping
from dataclasses import dataclass

from nova_qos.core.units import UNLIMITED
from nova_qos.net.division import Wish, weight_of_priority

#: The resources whose values the classes hold.
PRIORITY, LIMIT, GUARANTEE = NAMES = ("net_priority", "net_limit", "net_guarantee")
#: The kernel counts bytes.
BYTES_PER_KBIT = 125


@dataclass(frozen=True)
class Setting:
    """A priority, UNLIMITED for none, and in bytes/s what the server may take at most and what it
    is guaranteed, 0 for neither. False where it asks for nothing."""

    priority: int = UNLIMITED
    limit: int = 0
    guarantee: int = 0

    def __bool__(self) -> bool:
        return self.shares or self.limit > 0

    @property
    def shares(self) -> bool:
        """Whether it is more than a limit: then all servers of the host share the uplinks."""
        return self.has_priority or self.guarantee > 0

    @property
    def has_priority(self) -> bool:
        """Whether the weight is the server's own."""
        return self.priority != UNLIMITED

    def changed(self, values: Mapping[str, int]) -> "Setting":
        """The same with some values, by resource, as the host has them."""
        rates = {name: BYTES_PER_KBIT * max(0, values[name])
                 for name in (LIMIT, GUARANTEE) if name in values}
        return Setting(values.get(PRIORITY, self.priority), rates.get(LIMIT, self.limit),
                       rates.get(GUARANTEE, self.guarantee))

    def wish(self, default_weight: int) -> Wish:
        """What that is of an uplink."""
        weight = weight_of_priority(self.priority) if self.has_priority else default_weight
        return Wish(weight, self.guarantee, self.limit)
