# SPDX-License-Identifier: Apache-2.0
"""How something was divided, how far that is from what was due, and since when it was right."""

import math
from collections.abc import Callable, Mapping, Sequence

from tools.evaluation.records import Phase, Table

#: What each had from one time to another.
Seen = Callable[[float, float], Mapping[str, float]]


def fractions(amounts: Mapping[str, float]) -> dict[str, float]:
    """Of the whole; all 0 when there is nothing."""
    whole = sum(amounts.values())
    return {label: amount / whole if whole else 0.0 for label, amount in amounts.items()}


def rates(table: Table, quantity: str, labels: Mapping[str, object]) -> Seen:
    """What each had in a second, from columns LABEL.QUANTITY that only grow."""
    def seen(begin_s: float, end_s: float) -> dict[str, float]:
        span = end_s - begin_s
        return {label: (table.at(f"{label}.{quantity}", end_s)
                        - table.at(f"{label}.{quantity}", begin_s)) / span for label in labels}

    return seen


def parts(table: Table, quantity: str, labels: Mapping[str, object]) -> Seen:
    """Which part each had of what they had together, from columns that only grow."""
    amounts = rates(table, quantity, labels)
    return lambda begin_s, end_s: fractions(amounts(begin_s, end_s))


def means(table: Table, quantity: str, labels: Mapping[str, object]) -> Seen:
    """The mean of levels; 0 where nothing was seen."""
    def seen(begin_s: float, end_s: float) -> dict[str, float]:
        found = {label: table.between(f"{label}.{quantity}", begin_s, end_s) for label in labels}
        return {label: sum(values) / len(values) if values else 0.0
                for label, values in found.items()}

    return seen


def errors(seen: Mapping[str, float], due: Mapping[str, float]) -> dict[str, float]:
    """By how much of what was due each had more (+) or less (-): 0.03 is 3 %."""
    return {label: seen[label] / wanted - 1 for label, wanted in due.items()}


def worst(seen: Mapping[str, float], due: Mapping[str, float]) -> float:
    """The largest error, without its sign."""
    return max(abs(error) for error in errors(seen, due).values())


def hold_s(
    seen: Seen, due: Mapping[str, float], phase: Phase, *, band: float, window_s: float,
    step_s: float = 0.05,
) -> float | None:
    """How long after everything was asked the division was right: from then on, over the next
    ``window_s`` seconds, nobody was off by more than ``band``. None: not before the phase ended.
    """
    begin = phase.asked_s
    while begin + window_s <= phase.until_s:
        if worst(seen(begin, begin + window_s), due) <= band:
            return begin - phase.asked_s
        begin += step_s
    return None


def settled(
    seen: Seen, due: Mapping[str, float], phase: Phase, after_s: float | None
) -> dict[str, float]:
    """The errors over the rest of the phase, from so long after everything was asked; over all of
    it where that is None."""
    return errors(seen(phase.asked_s + (after_s or 0.0), phase.until_s), due)


def reach_s(table: Table, quantity: str, phase: Phase, *, within: float) -> float | None:
    """How long after everything was asked all levels were as due, and stayed so; None: never."""
    columns = {f"{label}.{quantity}": wanted for label, wanted in phase.due.items()}
    since = None
    for index, time_s in enumerate(table.times):
        if not phase.asked_s <= time_s <= phase.until_s:
            continue
        if any(abs(table.columns[column][index] - wanted) > within
               for column, wanted in columns.items()):
            since = None
        elif since is None:
            since = time_s - phase.asked_s
    return since


def first_s(table: Table, column: str, amount: float) -> float | None:
    """When a column that only grows had this amount; None: never."""
    for time_s, value in zip(table.times, table.columns[column], strict=True):
        if value >= amount:
            return time_s
    return None


def percentile(values: Sequence[float], part: float) -> float:
    """The value that ``part`` of all do not exceed (nearest rank).

    :raises ValueError: there are none
    """
    if not values:
        raise ValueError("a percentile of nothing")
    # 0.99 of 100 is a little more than 99 in floating point
    rank = math.ceil(part * len(values) - 1e-9)
    return sorted(values)[max(rank, 1) - 1]
