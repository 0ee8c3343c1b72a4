# SPDX-License-Identifier: Apache-2.0
"""What the model of a host predicts for guests that play their parts, with the product's planner
and without balancing."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from nova_qos.agent.balance.thresholds import Thresholds
from tools.bed.balance.model.controller import Product
from tools.bed.balance.model.simulator import Nothing, sim
from tools.bed.balance.parts import Pace, Part

#: What a kernel without processes has of a guest that small.
_KERNEL_MIB = 60.0


class Moment(NamedTuple):
    """The model's host after a second: of each guest the balloon and what the host holds of it,
    what lies in the host's swap, and what came from there and went there so far; MiB."""

    actual_mib: Mapping[str, float]
    resident_mib: Mapping[str, float]
    swapped_mib: float
    in_mib: float
    out_mib: float


def predicted(
    parts: Sequence[Part], pace: Pace, seconds: int, at_rest_mib: float, budget_mib: float,
    options: Mapping[str, Any] | None,
) -> list[Moment]:
    """Each second of a play, in which KSM merges nothing.

    :param at_rest_mib: what all guests have with their QEMUs before they begin
    :param options: those of balancing; None = there is none
    """
    guests = [_guest(part, pace, seconds) for part in parts]
    overhead_mib = at_rest_mib / len(guests) - _KERNEL_MIB
    host = sim.Host(budget_mib, guests, base=len(guests) * (overhead_mib - sim.OVERHEAD))
    moments: list[Moment] = []

    def note(_at_s: int, now: Any) -> None:
        came, went = (moments[-1].in_mib, moments[-1].out_mib) if moments else (0.0, 0.0)
        swapped = {each.name: each.hs_hot + each.hs_cold for each in now.guests}
        moments.append(Moment(
            {each.name: each.A for each in now.guests},
            {each.name: each.usage() - swapped[each.name] + overhead_mib for each in now.guests},
            sum(swapped.values()), came + now.inn, went + now.out))

    before = sim.TAU_HOT, sim.KSM_SHARE
    sim.TAU_HOT, sim.KSM_SHARE = pace.each_s, 0.0
    try:
        sim.run(host, seconds, _controller(options), log=(1, note))
    finally:
        sim.TAU_HOT, sim.KSM_SHARE = before
    return moments


def _controller(options: Mapping[str, Any] | None) -> Any:
    if options is None:
        return Nothing()
    numbers = {name: value for name, value in options.items() if hasattr(Thresholds, name)}
    return Product(replace(Thresholds(), **numbers))


def _guest(part: Part, pace: Pace, seconds: int) -> Any:
    read_mib_s = pace.read_mib / pace.pause_s
    trace = [(float(part.size_mib(at_s)), 0.0, 0.0, read_mib_s, float(part.memory_mib))
             for at_s in range(seconds)]
    guest = sim.Guest(part.name, part.memory_mib, trace, part.guarantee_mib / part.memory_mib,
                      swap=float(part.memory_mib), cache0=0.0)
    guest.K = _KERNEL_MIB
    return guest
