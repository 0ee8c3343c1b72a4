# SPDX-License-Identifier: Apache-2.0
"""``openstack server qos host list`` and ``show``."""

import argparse
from collections.abc import Iterable, Sequence
from dataclasses import fields

from osc_lib.command import command

from nova_qos.client_hosts import HostState, Short, Use
from nova_qos.core.known import in_words
from nova_qos.core.units import UNLIMITED
from novaclient_qos.osc.cells import Cell
from novaclient_qos.osc.cloud import Cloud

_COLUMNS = (
    "Host", "State", "Short", "Servers", "Capacity", "Guaranteed", "Needed", "Applied", "Available",
    "Allocation Ratio", "Fitting Ratio", "Agent", "Age")


class ListHosts(command.Lister):
    """List compute hosts: whether they can keep what their servers are promised and need.

    State is calm, tense (little memory is available) or short; Short tells by how many MiB the
    host is short of memory: promised, where what servers are guaranteed or need is more than it
    can ever give them, and now, where that is missing at this moment. Memory is in MiB: Capacity
    is what the host can guarantee, Needed what its servers cannot spare, Applied what they have.
    Allocation Ratio is placement's, Fitting Ratio the one that servers like those there would
    leave room for. Where an agent does not answer, the host is listed with what the agent told
    last, and how old that is.
    """

    def take_action(
        self, parsed_args: argparse.Namespace
    ) -> tuple[Sequence[str], Iterable[Sequence[object]]]:
        return _COLUMNS, [_row(each) for each in Cloud(self.app).qos.hosts()]


class ShowHost(command.ShowOne):
    """Show a compute host: its capacity, and what its servers are guaranteed, have and need.

    Sums are over the servers that run, but for servers and memory_flavors. The pressure is the
    percent of the last ten seconds in which some tasks, or all, have waited. The host has a copy of
    the named policies; policies_reason tells why its agent could not fetch them last time.
    """

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        parser.add_argument("host", metavar="<host>", help="Name of a compute host.")
        return parser

    def take_action(
        self, parsed_args: argparse.Namespace
    ) -> tuple[Sequence[str], Iterable[object]]:
        (host,) = Cloud(self.app).qos.hosts(parsed_args.host)
        cells = _cells(host)
        return tuple(cells), tuple(cells.values())


def _row(host: HostState) -> Sequence[object]:
    memory = host.memory
    return (
        host.name, Cell(host.state), _short(host), Cell(host.servers), Cell(memory.capacity),
        Cell(memory.guaranteed), Cell(memory.needs), _most(memory.applied), Cell(memory.available),
        Cell(memory.allocation_ratio), Cell(memory.fitting_ratio), host.agent, _age(host))


def _short(host: HostState) -> Cell:
    """By how much it is short; nothing where it is not."""
    found = {name: None if each is None else each.mib
             for name, each in (("promised", host.promised), ("now", host.now))}
    told = [f"{mib} {name}" for name, mib in found.items() if mib is not None]
    return Cell(found if told else None, ", ".join(told))


def _age(host: HostState) -> Cell:
    return Cell(host.age_s, None if host.age_s is None else in_words(host.age_s))


def _most(value: float | None) -> Cell:
    return Cell(value, "unlimited" if value == UNLIMITED else None)


def _cells(host: HostState) -> dict[str, object]:
    cells: dict[str, object] = {
        "name": host.name, "agent": host.agent, "agent_reason": Cell(host.reason),
        "age": _age(host), "state": Cell(host.state), "since": Cell(host.since),
        "reasons": Cell(list(host.reasons), "\n".join(host.reasons)),
        "short_promised": _missing(host.promised), "short_now": _missing(host.now),
        "servers": Cell(host.servers), "running": Cell(host.running), "cpus": Cell(host.cpus)}
    for family, use in host.uses.items():
        cells |= {f"{family}_{each.name}": _figure(use, each.name) for each in fields(use)}
    for name, pressure in host.pressure.items():
        cells |= {f"pressure_{name}_some": Cell(pressure.some),
                  f"pressure_{name}_full": Cell(pressure.full)}
    for each in fields(host.balancing):
        value = getattr(host.balancing, each.name)
        cells[f"balancing_{each.name}"] = (
            Cell(value, "\n".join(value or ())) if each.name == "reasons" else Cell(value))
    policies, age_s = host.policies, host.policies.age_s
    return cells | {
        "policies_revision": Cell(policies.revision),
        "policies_age": Cell(age_s, None if age_s is None else in_words(age_s)),
        "policies_reason": Cell(policies.reason)}


def _figure(use: Use, name: str) -> Cell:
    value = getattr(use, name)
    return _most(value) if name in ("requested", "applied") else Cell(value)


def _missing(short: Short | None) -> Cell:
    if short is None:
        return Cell(None)
    return Cell({"mib": short.mib, "since": short.since}, f"{short.mib} MiB since {short.since}")
