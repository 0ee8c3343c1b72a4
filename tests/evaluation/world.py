# SPDX-License-Identifier: Apache-2.0
"""Experiments that nobody made, with figures that are known."""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from tests.evaluation import balanced
from tools.evaluation import promises, records, sizes, timings
from tools.evaluation.outcomes import ABOUT, EXPERIMENTS, OUTCOMES
from tools.evaluation.promises import Promised
from tools.evaluation.records import Exchange, Phase, Record, Table
from tools.evaluation.timings import Answered, Change, Way

LABELS = ("VM1", "VM2", "VM3")
STEP_S = 0.05
#: What each has in a second, at a time.
Speeds = Callable[[float], Mapping[str, float]]


def times(until_s: float, step_s: float = STEP_S) -> list[float]:
    return [number * step_s for number in range(round(until_s / step_s) + 1)]


def grown(quantity: str, speeds: Speeds, until_s: float) -> Table:
    """Columns that grow at these speeds."""
    moments = times(until_s)
    columns: dict[str, list[float]] = {f"{label}.{quantity}": [0.0] for label in LABELS}
    for moment in moments[:-1]:
        now = speeds(moment + STEP_S / 2)
        for label in LABELS:
            column = columns[f"{label}.{quantity}"]
            column.append(column[-1] + now.get(label, 0.0) * STEP_S)
    return Table(moments, columns)


def with_columns(table: Table, **more: Sequence[float]) -> Table:
    return Table(table.times, {**table.columns, **{
        name.replace("__", "."): column for name, column in more.items()}})


def constant(table: Table, value: float) -> list[float]:
    return [value] * len(table.times)


def ramp(table: Table, speed: float = 1.0) -> list[float]:
    return [moment * speed for moment in table.times]


def asked(server: str, value: int, typed_s: float) -> Exchange:
    """A command that takes half a second to reach nova and a tenth there."""
    return Exchange(f"nova lv-set-x user1-{server.lower()} {value}", typed_s, typed_s + 0.5,
                    typed_s + 0.6, typed_s + 0.8)


def due(*values: float) -> dict[str, float]:
    return dict(zip(LABELS, values, strict=True))


def divided(whole: float, weights: Mapping[str, float]) -> dict[str, float]:
    return {label: whole * weight / sum(weights.values()) for label, weight in weights.items()}


def shares_record(
    after_s: float = 0.3, wanted: float = 1.0, off: float = 0.0, quantity: str = "cpu_s",
    whole: float = 1.0,
) -> Record:
    """Weights 1024, 1024, 2048 become 1024, 2048, 1024; that holds so long after it was asked.
    ``off``: by how much of it VM1 has too much throughout."""
    exchange = asked("VM2", 2048, 10.0)
    first, second = due(1024, 1024, 2048), due(1024, 2048, 1024)
    change = exchange.sent_s + after_s

    def speeds(moment: float) -> Mapping[str, float]:
        now = divided(whole, first if moment < change else second)
        return {**now, "VM1": now["VM1"] * (1 + off)}

    table = grown(quantity, speeds, 21.0)
    table = with_columns(
        table, host__stolen_s=constant(table, 0.0),
        **{f"{label}__wanted_s": ramp(table, wanted) for label in LABELS})
    return Record({"host": table}, [
        Phase("at first", 0.0, 0.0, 10.0, first),
        Phase("after the change", 10.0, 10.5, 21.0, second)], [exchange])


def bursts_record() -> Record:
    def speeds(moment: float) -> Mapping[str, float]:
        return {"VM1": 0.97} if moment < 10 else divided(1.0, {"VM1": 100, "VM2": 500})

    table = grown("cpu_s", speeds, 20.0)
    table = with_columns(
        table, host__stolen_s=constant(table, 0.0),
        **{f"{label}__wanted_s": ramp(table) for label in LABELS})
    return Record({"host": table}, [
        Phase("VM1 alone", 0.0, 0.0, 10.0, {"VM1": 100}),
        Phase("VM2 as well", 10.0, 10.0, 20.0, {"VM1": 100, "VM2": 500})])


def job_record(weights: Mapping[str, float], job: float, rate: float) -> Record:
    left = dict.fromkeys(weights, job)

    def speeds(_: float) -> Mapping[str, float]:
        now = divided(rate, {label: weights[label] for label in left}) if left else {}
        for label in list(left):
            left[label] -= now[label] * STEP_S
            if left[label] <= 0:
                del left[label]
        return now

    end = 3.3 * job / rate
    return Record({"host": grown("written_mib", speeds, end)},
                  [Phase("all write", 0.0, 0.0, end, weights)])


def memory_record(steps_s: float = 1.0) -> Record:
    """One move of 512 MiB out of VM3, which takes so long."""
    exchange = asked("VM3", 512, 5.0)
    moments = times(12.0)
    given = [1024 - 512 * min(1.0, max(0.0, (moment - exchange.sent_s) / steps_s))
             for moment in moments]
    same = [512.0] * len(moments)
    actual = {"VM1.actual_mib": same, "VM2.actual_mib": same, "VM3.actual_mib": given}
    pss = {f"{label}.pss_mib": [300.0] * len(moments) for label in LABELS}
    return Record({"balloons": Table(moments, actual), "processes": Table(moments, pss)}, [
        Phase("at first", 0.0, 0.0, 5.0, due(512, 512, 1024)),
        Phase("VM3 has 512 MiB", 5.0, 5.5, 12.0, due(512, 512, 512))], [exchange])


def soft_limit_record() -> Record:
    first, second = due(160, 160, 320), due(160, 320, 160)
    moments = times(60.0, 1.0)
    columns = {}
    for label in LABELS:
        columns[f"{label}.resident_mib"] = [
            (first if moment < 40 else second)[label] + 16 for moment in moments]
        columns[f"{label}.promised_mib"] = [
            (first if moment < 21 else second)[label] for moment in moments]
    return Record({"host": Table(moments, columns)}, [
        Phase("at first", 0.0, 0.0, 20.0, first),
        Phase("after the change", 20.0, 20.5, 60.0, second)], [asked("VM2", 320, 20.0)])


def network_record(waiting: float = 1.0, off: float = 0.0) -> Record:
    two = divided(80, {"VM2": 26, "VM3": 15})
    phases = [Phase("all send", 0.0, 0.0, 10.0, due(39, 26, 15)),
              Phase("VM1 has stopped", 10.0, 10.0, 20.0, two),
              Phase("VM2 has stopped", 20.0, 20.0, 30.0, {"VM3": 80.0}),
              Phase("VM2 and VM3 swapped", 30.0, 30.5, 40.0, due(39, 15, 26))]

    def speeds(moment: float) -> Mapping[str, float]:
        return next(phase for phase in reversed(phases) if phase.typed_s <= moment).due

    table = grown("sent_mbit", speeds, 40.0)
    received = {f"{label}.received_mbit_s": [
        speeds(moment).get(label, 0.0) * (1 + off) * 1448 / 1514 for moment in table.times]
        for label in LABELS}
    table = with_columns(table, **{
        f"{label}__waits": constant(table, waiting) for label in LABELS})
    return Record({"uplink": table, "outside": Table(table.times, received)}, phases,
                  [asked("VM2", 84, 30.0)])


def limits_record(quantity: str = "cpu_s", table: str = "host", scale: float = 1.0,
                  after_s: float = 0.2, off: float = 0.0) -> Record:
    """VM1 may have 0.3, and then 0.6, of ``scale``; ``off``: by how much of it it has more."""
    first, second = {"VM1": 0.3 * scale}, {"VM1": 0.6 * scale}
    exchange = asked("VM1", 60, 13.0)

    def speeds(moment: float) -> Mapping[str, float]:
        if moment < 3.0:
            return divided(scale, due(8, 1, 1))
        mine = (first if moment < exchange.sent_s + after_s else second)["VM1"] * (1 + off)
        return {"VM1": mine, "VM2": (scale - mine) / 2, "VM3": (scale - mine) / 2}

    seen = grown(quantity, speeds, 24.0)
    seen = with_columns(seen, host__stolen_s=constant(seen, 0.0), **{
        f"{label}__{name}": column for label in LABELS
        for name, column in (("wanted_s", ramp(seen)), ("waits", constant(seen, 1.0)))})
    return Record({table: seen}, [
        Phase("no limit", 0.0, 0.0, 3.0, {}), Phase("0.3", 2.0, 3.0, 13.0, first),
        Phase("0.6", 13.0, 13.5, 24.0, second)], [exchange])


def network_limits_record(received: float = 1.0) -> Record:
    """Limits of 5, 20 and 50 Mbit/s that change places; ``received``: of what was due."""
    exchange = asked("VM1", 50000, 12.0)
    phases = [Phase("at first", 0.0, 0.0, 12.0, due(5, 20, 50)),
              Phase("after the change", 12.0, 12.5, 24.0, due(50, 20, 5))]

    def speeds(moment: float) -> Mapping[str, float]:
        return phases[moment >= exchange.sent_s + 0.2].due

    table = grown("sent_mbit", speeds, 24.0)
    outside = {f"{label}.received_mbit_s": [
        speeds(moment)[label] * received * 1448 / 1514 for moment in table.times]
        for label in LABELS}
    table = with_columns(table, **{f"{label}__waits": constant(table, 1.0) for label in LABELS})
    return Record({"uplink": table, "outside": Table(table.times, outside)}, phases, [exchange])


def guaranteed_record(mbit: float = 48.0, after_s: float = 0.2) -> Record:
    """VM1 is guaranteed 40 Mbit/s, and has ``mbit`` so long after that was asked."""
    exchange = asked("VM1", 40000, 12.0)
    begin = exchange.sent_s + after_s
    table = grown("sent_mbit", lambda moment: (
        due(20, 40, 20) if moment < begin else due(mbit, (80 - mbit) / 2, (80 - mbit) / 2)), 24.0)
    outside = {f"{label}.received_mbit_s": [
        (20.0 if moment < begin else mbit) * 1448 / 1514 for moment in table.times]
        for label in LABELS}
    table = with_columns(table, **{f"{label}__waits": constant(table, 1.0) for label in LABELS})
    return Record({"uplink": table, "outside": Table(table.times, outside)}, [
        Phase(sizes.GUARANTEED_PHASE, 12.0, exchange.sent_s, 24.0, {"VM1": 40.0})], [exchange])


def inbound_record(passed_on: float = 1.0, back_s: float = 0.3) -> Record:
    """4:2:1; VM1 stops, and comes back after ``back_s``; VM1 and VM3 change places."""
    phases = [Phase("all receive", 0.0, 0.0, 10.0, divided(70, due(4, 2, 1))),
              Phase("VM1 has stopped", 10.0, 10.0, 20.0, divided(70, {"VM2": 2, "VM3": 1})),
              Phase("it is back", 20.0, 20.0, 30.0, divided(70, due(4, 2, 1))),
              Phase("swapped", 30.0, 30.5, 40.0, divided(70, due(1, 2, 4)))]

    def speeds(moment: float) -> Mapping[str, float]:
        begins = (0.0, 10.0, 20.0 + back_s, 30.5)
        return phases[max(number for number, begin in enumerate(begins) if begin <= moment)].due

    classes = grown("received_mbit", speeds, 40.0)
    classes = with_columns(
        classes, **{f"{label}__waits": constant(classes, 1.0) for label in LABELS})
    taps = grown("arrived_mbit", lambda moment: {
        label: mbit * passed_on for label, mbit in speeds(moment).items()}, 40.0)
    return Record({"receiver": classes, "taps": taps}, phases, [asked("VM1", 89, 30.0)])


def guarantee_record(after_s: float = 0.2, has: float = 0.55) -> Record:
    """VM1 is guaranteed a half, and has that part so long after the neighbour weighs more."""
    exchange = asked("VM2", 16384, 13.0)
    begin = exchange.sent_s

    def speeds(moment: float) -> Mapping[str, float]:
        mine = 0.1 if begin <= moment < begin + after_s else has
        return {"VM1": mine * 0.98, "VM2": (1 - mine) * 0.49, "VM3": (1 - mine) * 0.49}

    seen = grown("cpu_s", speeds, 24.0)
    seen = with_columns(seen, host__stolen_s=constant(seen, 0.0), **{
        f"{label}__wanted_s": ramp(seen) for label in LABELS})
    return Record({"host": seen}, [
        Phase("guaranteed", 0.0, 1.0, 13.0, {"VM1": 0.5}),
        Phase("VM2 weighs more", 13.0, begin, 24.0, {"VM1": 0.5})], [exchange])


def floor_record(least_mib: float = 1024.0) -> Record:
    """VM1 shrinks to the 1024 MiB that it is guaranteed, has ``least_mib`` for a moment when less
    was asked for, and in the end gets down to 512 MiB."""
    given, asked_s = asked("VM1", 1024, 1.0), 6.5

    def mib(moment: float) -> float:
        if 12.0 <= moment < 12.3:
            return least_mib
        return 2048 if moment < asked_s + 1 else 1024 if moment < 17.5 else 512

    moments = times(23.0)
    columns = {f"{label}.actual_mib": [2048.0] * len(moments) for label in LABELS}
    columns["VM1.actual_mib"] = [mib(moment) for moment in moments]
    return Record({"balloons": Table(moments, columns)}, [
        Phase("guaranteed", 1.0, given.sent_s, 6.0, {}),
        Phase("as guaranteed", 6.0, asked_s, 11.0, {"VM1": 1024.0}),
        Phase("less was asked for", 11.5, 11.5, 16.5, {"VM1": 1024.0}),
        Phase("without a guarantee", 16.5, 17.0, 23.0, {"VM1": 512.0})],
        [given, asked("VM1", 1024, 6.0), asked("VM1", 512, 16.5)])


def attempts(status: int = 400) -> list[Answered]:
    """Each asks for less memory than is guaranteed; the last one has this status."""
    return [Answered(1, way, 0, float(number), 0.05, 400 if number < 2 else status)
            for number, way in enumerate(("set-current-memory", "set-qos", "POST /os-qos"))]


def promised(net_kbit: int = 80000) -> list[Promised]:
    """Three servers asked for one and a half times what there is."""
    return [Promised("cpu_guarantee", "percent", 100, 3, 1, 200, 200),
            Promised("net_guarantee", "kbit", 40000, 3, 1, net_kbit, 80000)]


def answered(status: int = 200) -> list[Answered]:
    """Ours take 20 ms, nova's own 10 ms; the last one has this status."""
    found = []
    for clients in (8, 32):
        for operation in ("show", "get-qos", "lock and unlock", "set-cpu-priority"):
            seconds = 0.02 if operation in ("get-qos", "set-cpu-priority") else 0.01
            found += [Answered(clients, operation, 0, round(number * seconds, 2), seconds, 200)
                      for number in range(100)]
    return [*found, Answered(32, "get-qos", 0, 2.0, 0.02, status)]


def many_answered(status: int = 200, seconds: float = 0.02) -> list[Answered]:
    """A request for three servers takes so long, one for one of them 10 ms; the last one of three
    has this status."""
    found = []
    for operation, took, usual in (
            ("POST /os-qos", seconds, 200), ("set-qos", 0.01, 200),
            ("lock and unlock", 0.005, 202)):
        found += [Answered(64, operation, 0, round(number * took, 3), took, usual)
                  for number in range(100)]
    return [*found, Answered(64, "POST /os-qos", 0, 100 * seconds, seconds, status)]


def edits(longest_s: float = 0.6) -> list[Change]:
    """Of two edits by each way, the second reaches VM3 so late."""
    return [Change(label, way, number, longest_s if (label, number) == ("VM3", 1) else 0.4, 0.3)
            for way in (Way.API, Way.OPENSTACK) for number in range(2) for label in LABELS]


def changes() -> list[Change]:
    took = {Way.BARE: 0.02, Way.API: 0.05, Way.NOVA: 0.8, Way.OPENSTACK: 1.5}
    return [Change(resource, way, number, seconds, seconds)
            for resource in ("memory", "cpu_priority") for number in range(3)
            for way, seconds in took.items()]


def write_all(directory: Path, **outcomes: Mapping[str, object]) -> None:
    """All experiments; ``outcomes``: of those that came to another end."""
    start, moved = due(500, 500, 1000), due(500, 900, 300)
    made = {
        "memory": memory_record(), "soft-limit": soft_limit_record(),
        "cpu-turns": bursts_record(), "cpu-shares": shares_record(), "cpu-bursts": bursts_record(),
        "disk-start": job_record(start, sizes.JOB_MIB, sizes.RATE_MIB),
        "disk-moved": job_record(moved, sizes.JOB_MIB, sizes.RATE_MIB),
        "disk-change": shares_record(quantity="written_mib", whole=sizes.RATE_MIB),
        "network-fixed": network_record(), "network-shared": network_record(),
        "cpu-limits": limits_record(), "cpu-guarantees": guarantee_record(),
        "disk-rates": limits_record("written_mib", scale=10),
        "disk-requests": limits_record("requests", scale=400),
        "network-limits": network_limits_record(), "network-guarantees": network_limits_record(),
        "inbound": inbound_record(), "guarantees": floor_record(),
    }
    for name, record in made.items():
        records.save(record, directory / name)
    timings.save_answered(answered(), directory / "load")
    timings.save_answered(many_answered(), directory / "many")
    timings.save_answered(attempts(), directory / "guarantees-refused")
    promises.save(promised(), directory / "guarantees-refused")
    timings.save_changes(changes(), directory / "peers")
    timings.save_changes(edits(), directory / "policy")
    balanced.write(directory)
    (directory / ABOUT).write_text(json.dumps({
        "seed": 7, "when": "2026-01-02 03:04 UTC",
        "versions": {"kernel": "6.1.0", "nova": "34.0.0"}}))
    (directory / OUTCOMES).write_text(json.dumps({
        name: outcomes.get(name, {"seconds": 10}) for name in EXPERIMENTS}))
