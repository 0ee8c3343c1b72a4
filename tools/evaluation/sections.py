# SPDX-License-Identifier: Apache-2.0
"""The report, experiment by experiment: what was done, the plots, the verdicts."""

from collections.abc import Callable, Mapping
from pathlib import Path

from tools.evaluation import (
    judge_api,
    judge_cpu,
    judge_disk,
    judge_memory,
    judge_network,
    plots,
    records,
    sections_control,
    sizes,
    split,
    timings,
)
from tools.evaluation.outcomes import Outcomes
from tools.evaluation.records import Phase, Record, Table
from tools.evaluation.verdict import Grid, Section, Verdict


def of(directory: Path, outcomes: Outcomes) -> list[Section]:
    """All sections in the order of the thesis' chapter, from what the measurements have left."""
    found = []
    for experiment, name, title, text, fill in PLAN:
        section = Section(name, title, " ".join(text.split()))
        section.absent = outcomes.why_absent(experiment) or ""
        if not section.absent:
            fill(section, directory)
        found.append(section)
    return found


def _memory(section: Section, directory: Path) -> None:
    record = records.load(directory / "memory")
    section.add(
        judge_memory.judge_memory(record),
        "Each server's memory as virsh shows it (actual); dashed: what its process has of the "
        "host's (PSS)",
        plots.levels(record, "balloons", "actual_mib", label="MiB", thin="processes.pss_mib"))


def _soft_limit(section: Section, directory: Path) -> None:
    record = records.load(directory / "soft-limit")
    section.add(
        judge_memory.judge_soft_limit(record, sizes.SPARE_MIB),
        "What each server has of its host's memory; dotted: what it is promised",
        plots.levels(record, "host", "resident_mib", label="MiB", due=lambda phase: phase.due))


def _turns(section: Section, directory: Path) -> None:
    record = records.load(directory / "cpu-turns")
    section.add(
        judge_cpu.judge_turns(record),
        "Each server's CPU time in percent of one processor", plots.rates(
            record, "host", "cpu_s", scale=100, label="% of a processor", smooth_s=0.5, top=105))


def _shares(section: Section, directory: Path) -> None:
    record = records.load(directory / "cpu-shares")
    section.add(
        judge_cpu.judge_shares(record),
        "Each server's CPU time in percent of one processor; dotted: its part by its shares",
        _cpu_plot(record))


def _bursts(section: Section, directory: Path) -> None:
    record = records.load(directory / "cpu-bursts")
    section.add(
        judge_cpu.judge_bursts(record),
        "Each server's CPU time in percent of one processor; dotted: its part by its shares",
        _cpu_plot(record))


def _cpu_plot(record: Record) -> bytes:
    return plots.cpu_time(record, _of_what_they_had(record.tables["host"], "cpu_s", 100))


def _of_what_they_had(
    table: Table, quantity: str, scale: float
) -> Callable[[Phase], Mapping[str, float]]:
    """What is due of all that was taken in a phase."""
    def due(phase: Phase) -> Mapping[str, float]:
        if not phase.due:
            return {}
        taken = split.rates(table, quantity, phase.due)(phase.asked_s, phase.until_s)
        whole = sum(taken.values()) * scale
        return {label: part * whole for label, part in split.fractions(phase.due).items()}

    return due


def _jobs(section: Section, directory: Path) -> None:
    for name, figure, thesis in (
            ("disk-start", "5.7a", "not quite the case"), ("disk-moved", "5.7b", "respected")):
        record = records.load(directory / name)
        weights = ", ".join(f"{label} {weight:g}"
                            for label, weight in record.phases[0].due.items())
        verdicts, grids = judge_disk.judge_job(record, sizes.JOB_MIB, sizes.RATE_MIB, thesis)
        named = [Verdict(f"{each.what} ({weights})", each.ours, each.unit, each.thesis,
                         each.target, each.why) for each in verdicts]
        titled = [Grid(f"{grid.title} (figure {figure})", grid.heads, grid.rows) for grid in grids]
        section.add((named, titled), f"As figure {figure}: {weights}", plots.rates(
           record, "host", "written_mib", scale=1, label="MiB/s", smooth_s=1.2))


def _weights_change(section: Section, directory: Path) -> None:
    record = records.load(directory / "disk-change")
    section.add(
        judge_disk.judge_change(record, sizes.RATE_MIB),
        "What each writes while the weights change; dotted: its part by its weight",
        plots.rates(record, "host", "written_mib", scale=1, label="MiB/s", smooth_s=1.2,
                    due=_of_what_they_had(record.tables["host"], "written_mib", 1)))


def _fixed(section: Section, directory: Path) -> None:
    _network(section, records.load(directory / "network-fixed"), lends=False)


def _shared(section: Section, directory: Path) -> None:
    _network(section, records.load(directory / "network-shared"), lends=True)


def _network(section: Section, record: Record, lends: bool) -> None:
    section.add(
        judge_network.judge(record, sizes.UPLINK_MBIT, lends),
        "What arrives from each server, as iperf3 receives it; dotted: what is due",
        plots.levels(record, "outside", "received_mbit_s", label="Mbit/s", due=lambda phase: {
            label: mbit * judge_network.DATA_SHARE for label, mbit in phase.due.items()}))


def _load(section: Section, directory: Path) -> None:
    answered = timings.load_answered(directory / "load")
    section.add(
        judge_api.judge_load(answered),
        "Ours (blue) beside nova's own: reads plain, writes hatched", plots.load(answered))


def _peers(section: Section, directory: Path) -> None:
    changes = timings.load_changes(directory / "peers")
    section.add(
        judge_api.judge_peers(changes), "Median time until the host holds a change",
        plots.peers(changes))


#: The experiment that brings it, the section's name, title and text, and what fills it.
PLAN: tuple[tuple[str, str, str, str, Callable[[Section, Path], None]], ...] = (
    ("memory", "memory", "Memory, figure 5.2", """
        Servers of 2048 MiB are given 512, 512 and 1024 MiB, of which their guests hold some in use.
        512 MiB move from VM3 to VM2, which then uses them, and back.""", _memory),
    ("soft-limit", "soft-limit", "Memory soft limit, figure 5.3", f"""
        Three guests on a further compute host, a virtual machine with cgroup v2 and swap, each read
        all of {sizes.USED_MIB} MiB again and again. Then all servers together may have only
        {sizes.PROMISED_MIB + sizes.SPARE_MIB} MiB, {sizes.SPARE_MIB} more than their soft limits
        promise. The promise moves from VM3 to VM2. On cgroup v1, as on the cloud's own host, the
        kernel looks at soft limits only when the whole machine is short of memory, and the limit of
        a group above the servers does not count; no such shortage is made on a machine that others
        use.""", _soft_limit),
    ("cpu", "cpu-turns", "CPU shares, figure 5.4", """
        Three servers with the same shares, bound to the same processor of their host, whose guests
        compute one at a time: shares mean nothing.""", _turns),
    ("cpu", "cpu-shares", "CPU shares, figure 5.5", """
        Three guests compute all the time, bound to the same processor. Shares move from VM3 to VM2,
        and back.""", _shares),
    ("cpu", "cpu-bursts", "CPU shares, figure 5.6", """
        The three begin to compute one after the other, with 100, 500 and 1000 shares, and end one
        after the other.""", _bursts),
    ("disk", "disk-jobs", "I/O weights, figure 5.7", f"""
        Each guest writes {sizes.JOB_MIB} MiB, past its page cache, to a part of one disk of
        {sizes.RATE_MIB} MiB/s that bfq divides.""", _jobs),
    ("disk", "disk-change", "I/O weights change while all write", """
        The weights of figure 5.7a become those of figure 5.7b under way.""", _weights_change),
    ("network", "network-fixed", "Rates without borrowing, figure 5.10", f"""
        Classes made by tc alone, each with its rate as its ceil, on an uplink of
        {sizes.UPLINK_MBIT} Mbit/s: what one leaves nobody has.""", _fixed),
    ("network", "network-shared", "Network priorities, figure 5.11", """
        The same servers with priorities from nova-qos: weights 39, 26 and 15. What one leaves, the
        others share by their weights. In the end VM2 and VM3 change places.""", _shared),
    *sections_control.PLAN,
    ("load", "api-load", "Load on the API", """
        8 and 32 clients, spread over the three servers, that each ask again as soon as they are
        answered: ours, and nova's own, in turns.""", _load),
    sections_control.MANY,
    ("peers", "peers", "Peers: bare virsh and tc", """
        The same change of one server by the bare tool on its host, by one request to nova's API,
        and by the two command lines, which are programs that have to start first.""", _peers),
)
