# SPDX-License-Identifier: Apache-2.0
"""Which items cover an amount at the least cost: a covering knapsack with several amounts. Pure.

Items are tried in the order of what they cover for their cost, depth first. A branch ends where
even fractions of the items that are left would cost as much as the best found so far (branch and
bound with the linear relaxation, after Dantzig, 1957).
"""

import math
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import accumulate

Amounts = tuple[int, ...]
#: After so many steps the best found so far is the answer: the first of them is already good.
_STEPS = 500
#: What rounding may add to a sum of fractions.
_ROUNDING = 1e-6


@dataclass(frozen=True)
class Item:
    """Something that covers ``amounts`` at a ``cost`` of 0 or more; ``key`` is the caller's."""

    key: str
    amounts: Amounts
    cost: int


@dataclass(frozen=True)
class Cover:
    """Items that cover what is wanted, and what they cost together."""

    cost: int
    items: tuple[Item, ...]


def cheapest(items: Sequence[Item], wanted: Amounts, most: int = 1) -> list[Cover]:
    """The cheapest covers, at most so many, the cheapest first; no item of one is superfluous.
    None where all items together do not cover what is wanted."""
    search = _Search.of(items, wanted, most)
    search.descend(0, wanted, 0, ())
    return sorted(search.found, key=lambda cover: cover.cost)


def least_cost(items: Sequence[Item], wanted: Amounts) -> int | None:
    """What a cover costs at least: a lower bound, seldom below the cheapest cover. None where there
    is no cover."""
    search = _Search.of(items, wanted, 1)
    search.descend(0, wanted, 0, ())
    if not search.found:
        return None
    return search.found[0].cost if search.steps > 0 else math.ceil(
        search.bound(0, wanted) - _ROUNDING)


@dataclass
class _Search:
    """``items`` are those that cover anything, the best value first. ``reach`` and ``price`` are
    sums from the first item on: of what they cover, in parts of what is wanted (which ``scale``
    turns amounts into), and of costs. ``steps`` are those that are left."""

    items: Sequence[Item]
    wanted: Amounts
    scale: Sequence[float]
    reach: Sequence[float]
    price: Sequence[int]
    most: int
    steps: int = _STEPS
    found: list[Cover] = field(default_factory=list)

    @classmethod
    def of(cls, items: Sequence[Item], wanted: Amounts, most: int) -> "_Search":
        scale = [1 / amount if amount > 0 else 0.0 for amount in wanted]
        parts = {item.key: part for item in items if (part := sum(
            min(has, amount) * by
            for has, amount, by in zip(item.amounts, wanted, scale, strict=True) if amount > 0))}
        useful = sorted((item for item in items if item.key in parts),
                        key=lambda item: (item.cost / parts[item.key], item.cost, item.key))
        return cls(useful, wanted, scale, [0.0, *accumulate(parts[item.key] for item in useful)],
                   [0, *accumulate(item.cost for item in useful)], most)

    def bound(self, first: int, left: Amounts) -> float:
        """What the rest costs at least, if items from the first one on could be cut."""
        target = self.reach[first] + sum(
            amount * by for amount, by in zip(left, self.scale, strict=True)) - _ROUNDING
        last = bisect_left(self.reach, target, first)
        if last >= len(self.reach):
            return math.inf
        if last <= first:
            return 0.0
        part = (target - self.reach[last - 1]) / (self.reach[last] - self.reach[last - 1])
        return (self.price[last - 1] - self.price[first]
                + part * (self.price[last] - self.price[last - 1]))

    def descend(
        self, first: int, left: Amounts, cost: int, chosen: tuple[Item, ...]
    ) -> None:
        """Add one of the items from the first one on to those that were chosen."""
        for index in range(first, len(self.items)):
            bound = self.bound(index, left)
            # costs are whole numbers, so what is above one is the next; later items bound no less
            if self.steps <= 0 or bound == math.inf or (
                    cost + math.ceil(bound - _ROUNDING) >= self._worst):
                return
            self.steps -= 1
            item = self.items[index]
            rest = tuple(max(0, amount - has)
                         for amount, has in zip(left, item.amounts, strict=True))
            if rest == left:
                continue
            if any(rest):
                self.descend(index + 1, rest, cost + item.cost, (*chosen, item))
            else:
                self._keep((*chosen, item))

    @property
    def _worst(self) -> float:
        """The cost from which on a cover is not among those to keep."""
        return self.found[-1].cost if len(self.found) >= self.most else math.inf

    def _keep(self, chosen: tuple[Item, ...]) -> None:
        items = self._needed(chosen)
        cover = Cover(sum(item.cost for item in items), items)
        if cover.cost < self._worst and cover not in self.found:
            self.found.append(cover)
            self.found.sort(key=lambda cover: cover.cost)
            del self.found[self.most:]

    def _needed(self, chosen: tuple[Item, ...]) -> tuple[Item, ...]:
        """The items without those that the others make superfluous."""
        spare = [sum(item.amounts[index] for item in chosen) - amount
                 for index, amount in enumerate(self.wanted)]
        needed = []
        for item in sorted(chosen, key=lambda item: -item.cost):
            if all(has <= more for has, more in zip(item.amounts, spare, strict=True)):
                spare = [more - has for has, more in zip(item.amounts, spare, strict=True)]
            else:
                needed.append(item)
        return tuple(sorted(needed, key=lambda item: item.key))
