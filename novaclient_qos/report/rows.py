# SPDX-License-Identifier: Apache-2.0
"""The report of a host in words and tables, for terminals and for the page."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import cast

from nova_qos.client import Saved
from nova_qos.client_hosts import HostState
from nova_qos.core.known import in_words
from nova_qos.core.units import UNLIMITED
from novaclient_qos.osc.cells import Cell, figure, source
from novaclient_qos.report.figures import Figures, Setting
from novaclient_qos.report.history import History, Received

#: What stands for a figure that nobody knows.
UNKNOWN = "-"
_NOTHING = Received()
_OF_CPU = ("CPU Promised %", "CPU Received %", "Received / Promised", "While Hungry", "Steal %",
           "Hungry Hours")


@dataclass(frozen=True)
class Table:
    """Titles, and rows of as many cells."""

    titles: Sequence[str]
    rows: Sequence[Sequence[object]]


def head(state: HostState) -> Iterator[str]:
    """The state of the host, in lines."""
    since = f" since {state.since}" if state.since else ""
    running = "" if state.running is None else (
        f"; {state.running} of {state.servers} servers are running")
    yield f"Host {state.name} is {state.state or 'in an unknown state'}{since}{running}"
    yield from (f"  {reason}" for reason in state.reasons)
    for title, short in (("Overcommitted", state.promised), ("Missing now", state.now)):
        if short is not None:
            yield f"  {title}: {short.mib} MiB of memory, since {short.since}"
    if state.agent != "up":
        reason = f": {state.reason}" if state.reason else ""
        yield f"  Its agent is {state.agent}{reason}"
    elif state.reason:
        yield f"  Its agent cannot tell more now: {state.reason}"
    if state.age_s:
        yield f"  The agent told this {in_words(state.age_s)} ago"


def capacity(state: HostState) -> Table:
    """Guarantees against capacity, by what the host shares."""
    return Table(
        ("Shared", "Unit", "Capacity", "Guaranteed", "Short", "Requested", "Applied"),
        [(name, use.unit or "", Cell(use.capacity), Cell(use.guaranteed), Cell(use.short),
          _most(use.requested), _most(use.applied)) for name, use in state.uses.items()])


def past(history: History) -> Iterator[str]:
    """What Prometheus tells of the host as a whole, in lines."""
    if history.instance is None:
        yield f"{history.prometheus} cannot tell what was received: {history.reason}"
        return
    data = ("too little data yet: ask again after five minutes" if history.data_hours is None
            else f"data of {history.data_hours:.2f} h")
    yield (f"The last {history.over.text} of {history.instance} at {history.prometheus}; it has "
           f"{data}")
    corrections = ", ".join(
        f"{name} {count}" for name, count in sorted(history.corrections.items()))
    taken = UNKNOWN if history.memory_taken_back is None else history.memory_taken_back
    yield f"Memory taken back by guests: {taken}; corrections by the agent: {corrections or 'none'}"


def received(figures: Figures) -> Table:
    """What each server received."""
    return Table(("Server", *_OF_CPU), [
        (each.called, *_of_cpu(figures.received(each))) for each in figures.servers])


def settings(figures: Figures) -> Table:
    """A row for each server and resource that is set, as people read it."""
    return Table(
        ("Server", "Resource", "Promised %", "Requested", "Applied", "Unit", "Effective", "State",
         "Source", "Since", "Reason"),
        [(each.server or each.server_id, each.resource, _percent(each.promised_percent),
          figure(each.resource, each.requested), figure(each.resource, each.applied), each.unit,
          Cell(each.effective), each.state, _source(each), Cell(each.since), Cell(each.reason))
         for each in figures.settings])


def all_columns(figures: Figures) -> Table:
    """The same with the server's id; where there is a history, what was received stands beside the
    CPU priority of each server."""
    table = settings(figures)
    of_cpu: Mapping[str, Sequence[Cell]] = {
        each.id: _of_cpu(figures.received(each)) for each in figures.servers}
    nothing = [Cell(None, UNKNOWN)] * len(_OF_CPU)

    def more(each: Setting) -> Sequence[object]:
        if figures.history is None:
            return ()
        return of_cpu[each.server_id] if each.resource == "cpu_priority" else nothing

    return Table(
        (*table.titles, "ID", *(() if figures.history is None else _OF_CPU)),
        [(*row, each.server_id, *more(each))
         for row, each in zip(table.rows, figures.settings, strict=True)])


def both(cell: object) -> tuple[object, str]:
    """A cell for programs and for people."""
    if isinstance(cell, Cell):
        return cell.machine_readable(), cell.human_readable()
    return cell, str(cell)


def _of_cpu(found: Received | None) -> Sequence[Cell]:
    each = found or _NOTHING
    return [Cell(value, _number(value, digits)) for value, digits in (
        (each.promised_percent, 1), (each.received_percent, 1), (each.ratio, 2),
        (each.hungry_ratio, 2), (each.steal_percent, 1), (each.hungry_hours, 2))]


def _number(value: float | None, digits: int) -> str:
    return UNKNOWN if value is None else f"{value:.{digits}f}"


def _percent(value: float | None) -> Cell:
    return Cell(value, None if value is None else f"{value:.1f}")


def _most(value: float | None) -> Cell:
    return Cell(value, "unlimited" if value == UNLIMITED else None)


def _source(setting: Setting) -> Cell:
    return source(cast(Saved, {
        "policy_revision": setting.policy_revision,
        **({} if setting.source is None else {"source": setting.source})}))
