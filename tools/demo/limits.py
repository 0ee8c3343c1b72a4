# SPDX-License-Identifier: Apache-2.0
"""A guarantee, a share and a limit of each kind, live, and gone again."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tools.bed import tables
from tools.bed.errors import TestbedError
from tools.bed.observer import Observer
from tools.bed.stack import limits
from tools.bed.stack.command import Command
from tools.bed.stack.host import uplink
from tools.bed.stack.servers import Server
from tools.demo.errors import DemoFailed

# virsh shows the quota of a period of 20000 microseconds
_QUOTA_PER_PERCENT = 200
_SMALL_MEMORY_MIB = 100
_KIB_PER_MIB = 1024


@dataclass(frozen=True)
class Setting:
    """What one option asks for, and where another tool shows it."""

    option: str
    asked: str
    tool: str
    shown: str
    look: Callable[[], object]


def perform(
    nova: Command, openstack: Command, host: Observer, three: Sequence[Server], number: int
) -> int:
    """The step of that number; how many they were.

    :raises DemoFailed, TestbedError: a tool shows something else, or something stays behind
    """
    one = three[0]
    print(f"\n{number}. guarantees and limits: {one.name} gets one of each", flush=True)
    watched = _watched(host, three)
    original, before = uplink.root(), _look(watched)
    settings = [_memory_guarantee(nova, host, one), *watched]
    options = [word for each in settings for word in (each.option, each.asked)]
    openstack.show("server", "qos", "set", *options, one.name)
    openstack.show("server", "qos", "show", one.name, "--fit-width")
    _compare(settings)
    openstack.show("server", "qos", "unset", *(each.option for each in settings), one.name)
    _require_as_before(watched, before)
    if uplink.root() != original or uplink.has_table() or limits.has_receiver():
        raise DemoFailed(f"the uplink had {original} before, and no class of ours")
    if host.throttling(one.uuid)["group_name"]:
        raise DemoFailed(f"the disk of {one.name} is still throttled")
    return 1


def _look(settings: Sequence[Setting]) -> list[str]:
    return [str(each.look()) for each in settings]


def _compare(settings: Sequence[Setting]) -> None:
    seen = _look(settings)
    tables.show(("option", "asked", "tool", "wanted", "seen"), [
        (each.option, each.asked, each.tool, each.shown, value)
        for each, value in zip(settings, seen, strict=True)])
    wrong = [f"{each.option} {each.asked}: {each.tool} shows {value}, not {each.shown}"
             for each, value in zip(settings, seen, strict=True) if value != each.shown]
    if wrong:
        raise DemoFailed("the sides disagree: " + "; ".join(wrong))


def _require_as_before(settings: Sequence[Setting], before: Sequence[str]) -> None:
    """Nothing of what was set stays behind."""
    after = _look(settings)
    tables.show(("option", "tool", "before", "after unset"), [
        (each.option, each.tool, *values)
        for each, *values in zip(settings, before, after, strict=True)])
    wrong = [f"{each.option}: {each.tool} showed {was} before and shows {value} after unset"
             for each, was, value in zip(settings, before, after, strict=True) if value != was]
    if wrong:
        raise DemoFailed("; ".join(wrong))


def _watched(host: Observer, three: Sequence[Server]) -> list[Setting]:
    """Those that tools show without a change of anything."""
    one = three[0].uuid

    def of_disk(name: str) -> Callable[[], str]:
        return lambda: host.throttling(one)[name]

    def of_class(find: Callable[[Observer, str], object], field: str) -> Callable[[], object]:
        return lambda: getattr(find(host, one), field, "no class")

    outbound, inbound = limits.outbound_class, limits.inbound_class
    return [
        Setting("--cpu-limit", "80", "virsh schedinfo: global_quota",
                str(80 * _QUOTA_PER_PERCENT),
                lambda: host.virsh_value("schedinfo", one, "global_quota")),
        Setting("--cpu-guarantee", "60", "virsh schedinfo of all three: CPU shares",
                "at least 60 percent", lambda: _promise(host, three, 60)),
        Setting("--io-limit", "500", "virsh blkdeviotune: total_iops_sec", "500",
                of_disk("total_iops_sec")),
        Setting("--io-rate-limit", "16M", "virsh blkdeviotune: total_bytes_sec", str(2**24),
                of_disk("total_bytes_sec")),
        Setting("--net-limit", "40M", "tc class: ceil", "40Mbit", of_class(outbound, "ceil")),
        Setting("--net-guarantee", "30M", "tc class: rate", "30Mbit", of_class(outbound, "rate")),
        Setting("--net-in-limit", "20M", f"tc class on {limits.RECEIVER}: ceil", "20Mbit",
                of_class(inbound, "ceil")),
        Setting("--net-in-guarantee", "10M", f"tc class on {limits.RECEIVER}: rate", "10Mbit",
                of_class(inbound, "rate")),
        # low: a share by weight above the guarantee would be the rate
        Setting("--net-in-priority", "89", f"tc class on {limits.RECEIVER}: weight", "10",
                of_class(inbound, "weight")),
    ]


def _promise(host: Observer, three: Sequence[Server], percent: int) -> str:
    """What the CPU shares of all three promise the first, in percent of one CPU."""
    shares = [host.virsh_value("schedinfo", each.uuid, "cpu_shares") for each in three]
    part = 100 * (os.cpu_count() or 1) * shares[0] / sum(shares)
    return f"at least {percent} percent" if part >= percent else f"{part:.0f} percent"


def _memory_guarantee(nova: Command, host: Observer, server: Server) -> Setting:
    """Seen by what becomes of a request for less memory than is guaranteed."""
    def held() -> str:
        return f"{host.virsh_value('dommemstat', server.uuid, 'actual') // _KIB_PER_MIB} MiB"

    return Setting(
        "--memory-guarantee", "128M", f"nova lv-set-mem {_SMALL_MEMORY_MIB}; virsh dommemstat",
        f"refused, {held()}", lambda: f"{_less_memory(nova, server)}, {held()}")


def _less_memory(nova: Command, server: Server) -> str:
    """What becomes of a request for less memory than is guaranteed."""
    try:
        nova.show("lv-set-mem", server.name, str(_SMALL_MEMORY_MIB))
    except TestbedError as error:
        is_kept = "memory_guarantee" in str(error)
        print(f"  {'refused, as it should be: ' if is_kept else ''}{error}", flush=True)
        return "refused" if is_kept else "another error"
    return "accepted"
