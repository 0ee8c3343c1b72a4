# SPDX-License-Identifier: Apache-2.0
"""Named policies: three tiers, which reach running servers, and an edit that does."""

import time
from collections.abc import Sequence
from contextlib import ExitStack

from tools.bed import tables
from tools.bed.observer import Observer
from tools.bed.processes import wait_until
from tools.bed.stack.command import Command
from tools.bed.stack.servers import Server
from tools.demo.errors import DemoFailed

# virsh shows the quota of a period of 20000 microseconds
_QUOTA_PER_PERCENT = 200
#: An agent hears of an edit at once; one whose message got lost asks within a minute.
_MOST_S = 75
#: CPU limits by tier, in percent of one CPU, first and after an edit.
_TIERS = {"gold": (90, 80), "silver": (70, 60), "bronze": (50, 40)}


def perform(openstack: Command, host: Observer, three: Sequence[Server], number: int) -> int:
    """The step of that number; how many they were.

    :raises DemoFailed, TestbedError: virsh shows something else, or something stays behind
    """
    print(f"\n{number}. named policies: {three[0].name} is gold, {three[1].name} silver, "
          "and bronze is for all others", flush=True)
    first, later = ([limits[when] for limits in _TIERS.values()] for when in (0, 1))
    with ExitStack() as undo:
        for tier, (limit, _edited) in _TIERS.items():
            default = ["--default"] if tier == "bronze" else []
            openstack.show("server", "qos", "policy", "create", tier,
                           "--cpu-limit", f"{limit}%/vcpu", *default)
            undo.callback(openstack.show, "server", "qos", "policy", "delete", tier)
        undo.callback(openstack.show, "server", "qos", "policy", "set", "bronze", "--no-default")
        for server, tier in zip(three, ("gold", "silver"), strict=False):
            openstack.show("server", "qos", "set", "--policy", tier, server.name)
            undo.callback(openstack.show, "server", "qos", "unset", "--policy", server.name)
        _await(host, three, first, time.monotonic())
        openstack.show("server", "qos", "show", three[2].name, "--fit-width")
        for tier, (_limit, edited) in _TIERS.items():
            saved = ("server", "qos", "policy", "set", tier, "--cpu-limit", f"{edited}%/vcpu")
            openstack.show(*saved, *([] if tier == "gold" else ["--no-wait"]))
        _await(host, three, later, time.monotonic())
    _await(host, three, [None] * len(three), time.monotonic())
    return 1


def _await(
    host: Observer, three: Sequence[Server], wanted: Sequence[int | None], began: float
) -> None:
    """Wait until virsh shows these limits, in percent; None is none."""
    def seen() -> list[int | None]:
        quotas = [host.virsh_value("schedinfo", each.uuid, "global_quota") for each in three]
        return [None if quota < 0 else quota // _QUOTA_PER_PERCENT for quota in quotas]

    is_so = wait_until(lambda: seen() == list(wanted), _MOST_S)
    took_s, now = time.monotonic() - began, seen()
    tables.show(("server", "CPU limit wanted, %", "virsh schedinfo"), [
        (server.name, *("none" if each is None else each for each in values))
        for server, *values in zip(three, wanted, now, strict=True)])
    if not is_so:
        raise DemoFailed(f"the limits are {now}, and not {list(wanted)}, after {took_s:.0f} s")
    print(f"  seen on all after {took_s:.1f} s", flush=True)
