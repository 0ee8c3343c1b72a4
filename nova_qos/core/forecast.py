# SPDX-License-Identifier: Apache-2.0
"""By which weights the servers of a host would share it after a change, computed from what a list
tells of them. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from nova_qos.core.plan import Asked, Capacity, plan
from nova_qos.core.scales import MOST_CPU_SHARES

#: The weight of a server without a network priority beside one that has one, unless a list shows
#: another: the default of ``[nova_qos] default_net_weight``.
DEFAULT_NET_WEIGHT = 50
#: A network priority p has this weight less p.
_MOST_NET_WEIGHT = 99
_NETWORKS = ("net_priority", "net_in_priority")


@dataclass(frozen=True)
class Standing:
    """A server on its host. By resource, in the API's units: ``requested`` is its settings, None
    for none; ``default`` what it has without; ``weight`` by what it shares now, None where it takes
    no part. ``able`` names the resources that could be changed now: it runs, on a host that has
    them."""

    requested: Mapping[str, int | None]
    default: Mapping[str, int]
    weight: Mapping[str, float | None]
    able: frozenset[str]

    def changed(self, settings: Mapping[str, int | None]) -> "Standing":
        """The server with other settings; None unsets."""
        return replace(self, requested={**self.requested, **settings})

    def value(self, name: str) -> int:
        """What it is to have."""
        requested = self.requested[name]
        return self.default[name] if requested is None else requested


Weights = dict[str, float | None]


def weights(
    now: Mapping[str, Standing], then: Mapping[str, Standing], cpus: int, memory_mib: int
) -> dict[str, Weights]:
    """By divided resource, the weight of each server, None where it takes no part.

    :param now: the servers of the host, by any name
    :param then: the same, after the change
    :param cpus: the host's processors
    :param memory_mib: its memory
    """
    return {
        "cpu_priority": _cpu(then, cpus, memory_mib),
        "io_priority": {name: each.value("io_priority")
                        if each.weight["io_priority"] is not None else None
                        for name, each in then.items()},
        **{resource: _network(resource, now, then) for resource in _NETWORKS}}


def _cpu(then: Mapping[str, Standing], cpus: int, memory_mib: int) -> Weights:
    asked = {name: Asked(each.value("cpu_priority"), max(0, each.value("cpu_guarantee")))
             for name, each in then.items() if each.weight["cpu_priority"] is not None}
    granted = plan(asked, Capacity(100 * cpus, memory_mib, MOST_CPU_SHARES)) if asked else {}
    return {name: granted[name].shares if name in granted else None for name in then}


def _network(
    resource: str, now: Mapping[str, Standing], then: Mapping[str, Standing]
) -> Weights:
    if all(each.requested[resource] is None for each in then.values()):
        return dict.fromkeys(then)
    without = next(
        (weight for each in now.values() if each.requested[resource] is None
         and (weight := each.weight[resource]) is not None), DEFAULT_NET_WEIGHT)
    return {name: None if resource not in each.able
            else without if (priority := each.requested[resource]) is None
            else _MOST_NET_WEIGHT - priority for name, each in then.items()}
