# SPDX-License-Identifier: Apache-2.0
"""The balancing rule on a model of an overcommitted host, beside its prototype's figures and beside
a host that leaves all balloons empty; and what a look costs.

Usage: ``python -m tests.benchmark.balance [--traces burster ...] [--variants]``
"""

import argparse
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from tests.benchmark.balance.published import PROTOTYPE, PROTOTYPE_VARIANTS
from tests.benchmark.balance.speed import look_ms
from tests.benchmark.compare import status, verdict
from tools.bed.balance.model.controller import Product
from tools.bed.balance.model.simulator import AS_IT_IS, TRACES, VARIANTS, Figures, Nothing, run

#: Milliseconds of CPU time that a look may take, by number of guests.
_LOOK_MS = {100: 1.0, 1000: 15.0}
#: Percentage points by which stalls may exceed those of the prototype: small changes of the rule
#: shift the moments of all moves, and with them these figures.
_MEAN_MORE, _WORST_MORE = 0.1, 1.0
_HEADER = (f"{'':21}{'hsec':>6}{'gswap':>6}{'press':>7}{'viol':>6}{'move':>6}{'mean':>7}"
           f"{'wrst':>6}")


def main() -> int:
    """Print the figures; the exit status says whether the goals are met."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--traces", nargs="+", choices=TRACES, default=list(TRACES))
    parser.add_argument("--variants", action="store_true",
                        help="also with one assumption of the model changed; takes minutes")
    arguments = parser.parse_args()
    print(_HEADER)
    missed = [each for trace in arguments.traces for each in _trace(trace)]
    for count, most_ms in _LOOK_MS.items():
        took_ms = look_ms(count)
        print(f"a look at {count} guests: {took_ms:.2f} ms of CPU time {verdict(took_ms, most_ms)}")
        missed += [f"a look at {count} guests"] * (took_ms > most_ms)
    if arguments.variants:
        _print_variants(arguments.traces)
    print(*(f"MISSED: {each}" for each in missed), sep="\n", end="\n" if missed else "")
    return status(not missed)


def _trace(trace: str) -> Iterator[str]:
    """Print the rows of a trace, and yield the goals that the product misses."""
    before, found = PROTOTYPE[trace], run(trace, Product())
    for place, (name, figures) in enumerate((
            ("nothing", run(trace, Nothing())), ("prototype", before), ("product", found))):
        print(_row("" if place else trace, name, figures), flush=True)
    if found.hsec or found.viol:
        yield f"{trace}: the host swaps, or a guarantee is broken"
    if found.mean > before.mean + _MEAN_MORE:
        yield f"{trace}: mean stall {found.mean:.2f} %, with the prototype {before.mean:.2f} %"
    if found.wrst > before.wrst + _WORST_MORE:
        yield f"{trace}: worst stall {found.wrst:.1f} %, with the prototype {before.wrst:.0f} %"


def _row(trace: str, name: str, figures: Figures) -> str:
    return (f"{trace:10}{name:11}{figures.hsec:6.0f}{figures.gswap:6.0f}{figures.press:7.0f}"
            f"{figures.viol:6.0f}{figures.move:6.0f}{figures.mean:7.2f}{figures.wrst:6.1f}")


def _print_variants(names: Sequence[str]) -> None:
    print("Mean stall of all traces in percent (seconds of host swap, server-seconds below the "
          "guarantee)\n"
          f"{'':32}{'nothing':>16}{'prototype':>16}{'product':>16}")
    for variant in (AS_IT_IS, *VARIANTS):
        def measured(controller: Callable[[], Any], variant: Any = variant) -> str:
            found = [run(name, controller(), variant) for name in names]
            return _summary(sum(each.mean for each in found) / len(found),
                            sum(each.hsec for each in found), sum(each.viol for each in found))
        before = _summary(*PROTOTYPE_VARIANTS[variant.name]) if len(names) == len(TRACES) else "-"
        print(f"{variant.name:32}{measured(Nothing):>16}{before:>16}{measured(Product):>16}",
              flush=True)


def _summary(mean: float, hsec: float, viol: float) -> str:
    return f"{mean:.1f} ({hsec:.0f}, {viol:.0f})"


if __name__ == "__main__":
    sys.exit(main())
