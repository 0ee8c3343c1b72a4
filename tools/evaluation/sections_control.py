# SPDX-License-Identifier: Apache-2.0
"""The report's sections on what the thesis did not have: limits, guarantees, what is received,
policies, and balancing."""

from collections.abc import Callable, Mapping
from pathlib import Path

from tools.evaluation import (
    judge_api,
    judge_guarantees,
    judge_limits,
    judge_network,
    plots,
    promises,
    records,
    section_balancing,
    sizes,
    timings,
)
from tools.evaluation.records import Phase, Record
from tools.evaluation.verdict import Section


def _cpu_limits(section: Section, directory: Path) -> None:
    record = records.load(directory / "cpu-limits")
    section.add(judge_limits.judge(record, judge_limits.CPU, "limits"),
                "Each server's CPU time in percent of one processor; dotted: VM1's limit",
                plots.cpu_time(record, _percent))


def _cpu_guarantees(section: Section, directory: Path) -> None:
    record = records.load(directory / "cpu-guarantees")
    section.add(judge_limits.judge_guarantee(record),
                "Each server's CPU time in percent of one processor; dotted: what VM1 is "
                "guaranteed", plots.cpu_time(record, _percent))


def _percent(phase: Phase) -> Mapping[str, float]:
    return {label: 100 * part for label, part in phase.due.items()}


def _disk_limits(section: Section, directory: Path) -> None:
    for name, measure, what in (("disk-rates", judge_limits.WRITTEN, "rate limits"),
                                ("disk-requests", judge_limits.REQUESTS, "request limits")):
        record = records.load(directory / name)
        section.add(judge_limits.judge(record, measure, what),
                    f"What each server writes to its two disks, in {measure.unit}; dotted: its "
                    "limit", _limited(record, measure))


def _network_limits(section: Section, directory: Path) -> None:
    for name, what in (("network-limits", "limits"), ("network-guarantees", "guarantees")):
        record = records.load(directory / name)
        section.add(judge_limits.judge_sent(record, what),
                    "What arrives from each server, as iperf3 receives it; dotted: what is due",
                    plots.levels(record, "outside", "received_mbit_s", label="Mbit/s",
                                 due=_as_data))


def _inbound(section: Section, directory: Path) -> None:
    record = records.load(directory / "inbound")
    section.add(judge_limits.judge_received(record, "inbound shares"),
                "What each server's tap passes on to its guest; dotted: what is due",
                _limited(record, judge_limits.ARRIVED))


def _guarantees(section: Section, directory: Path) -> None:
    record = records.load(directory / "guarantees")
    refused = directory / "guarantees-refused"
    of_memory, of_the_host = (
        judge_guarantees.judge_memory(
            record, timings.load_answered(refused), sizes.GUARANTEED_MIB),
        judge_guarantees.judge_promises(promises.load(refused)))
    section.add(
        ([*of_memory[0], *of_the_host[0]], [*of_memory[1], *of_the_host[1]]),
        "Each server's memory as virsh shows it; dotted: what is due of VM1",
        plots.levels(record, "balloons", "actual_mib", label="MiB", due=lambda phase: phase.due))


def _policy(section: Section, directory: Path) -> None:
    changes = timings.load_changes(directory / "policy")
    section.add(judge_api.judge_policy(changes), "When each server holds each edit",
                plots.edits(changes))


def _many(section: Section, directory: Path) -> None:
    answered = timings.load_answered(directory / "many")
    section.add(judge_api.judge_many(answered, sizes.SERVERS),
                "Requests for three servers (dark blue) beside requests for one, and nova's own",
                plots.many(answered))


def _limited(record: Record, measure: judge_limits.Measure) -> bytes:
    return plots.rates(record, measure.table, measure.quantity, scale=measure.scale,
                       label=measure.unit, smooth_s=1.0, due=lambda phase: phase.due)


def _as_data(phase: Phase) -> Mapping[str, float]:
    return {label: mbit * judge_network.DATA_SHARE for label, mbit in phase.due.items()}


#: As that of ``sections``.
PLAN: tuple[tuple[str, str, str, str, Callable[[Section, Path], None]], ...] = (
    ("cpu-limits", "cpu-limits", "CPU limits", """
        Three guests compute all the time, bound to the same processor. By its shares VM1 would
        have eight tenths of it; it is limited to 30 percent, and then to 60.""", _cpu_limits),
    ("cpu-limits", "cpu-guarantees", "CPU guarantees", """
        The same, where VM1 would have a seventeenth by its shares. It is guaranteed 100 percent of
        a CPU, and then VM2 gets eight times its shares. A guarantee is of all processors of the
        host, so VM1 should have at least that part of what the three have of the one that they are
        bound to.""", _cpu_guarantees),
    ("disk-limits", "disk-limits", "Disk limits", """
        Each guest writes to two disks, past its page cache: 64 KiB at a time with limits of 8, 4
        and 2 MiB/s, then 4 KiB at a time with limits of 200, 100 and 50 requests/s. A limit is of
        both disks together. VM1 and VM3 change places while they write.""", _disk_limits),
    ("network-limits", "network-limits", "Outbound limits and guarantees", f"""
        All send. Limits of 5, 20 and 50 Mbit/s, without any total; VM1 and VM3 change places. Then
        priorities with weights 1:2:1 on {sizes.UPLINK_MBIT} Mbit/s, and VM1 is guaranteed the half
        of them: it should have that at least, since what idle servers leave is lent to all by
        weight.""", _network_limits),
    ("inbound", "inbound", "What servers receive", f"""
        All receive from outside, by weights 4:2:1 of {sizes.UPLINK_MBIT} Mbit/s. VM1 stops and
        comes back; VM1 and VM3 change places; then VM3 is limited to 20 Mbit/s, and VM1 guaranteed
        the half of all at least.""", _inbound),
    ("guarantees", "guarantees", "What guarantees refuse", f"""
        VM1 is guaranteed {sizes.GUARANTEED_MIB} MiB of its 2048 and shrinks to that. Less is
        requested by three actions of the API, and again when it has no guarantee any more. Then all
        three servers request guarantees that the host cannot keep together. On cgroup v1 the kernel
        has no protection to offer, so a memory guarantee is no more than that.""", _guarantees),
    ("policy", "policy", "Edits of a policy", """
        A policy sets the CPU priority of three running servers; it is edited at moments of chance,
        and their control groups are looked at. The command is a program that has to start first,
        and waits until the host tells that it has the edit.""", _policy),
    section_balancing.BALANCING,
)

#: The last one, beside the other loads.
MANY = ("many", "many", "Many servers in one request", """
        64 clients that each ask again as soon as they are answered: to change all three servers by
        one request, to change one of them, and nova's own, in turns.""", _many)
