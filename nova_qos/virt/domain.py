# SPDX-License-Identifier: Apache-2.0
"""A running domain behind the ``Domain`` protocol, on a host with cgroup v1."""

import time
from collections.abc import Callable
from typing import TypeVar

import libvirt

from nova_qos import errors
from nova_qos.model import UNLIMITED, Balloon, Neighbours, Network, Reading
from nova_qos.virt import balloon, failures, iosched
from nova_qos.virt.connection import Connection
from nova_qos.virt.definition import Definition

_Answer = TypeVar("_Answer")
# Nova owns the definition; only running values are ours.
_LIVE = libvirt.VIR_DOMAIN_AFFECT_LIVE
_STILL = (libvirt.VIR_DOMAIN_PAUSED, libvirt.VIR_DOMAIN_PMSUSPENDED)
_BETWEEN_HOSTS = (libvirt.VIR_DOMAIN_PAUSED, libvirt.VIR_DOMAIN_PAUSED_MIGRATION)
_UNLIMITED_KIB = (2**63 - 1) >> 10
# The kernel rounds "unlimited" down to whole pages, whose size differs.
_LEAST_UNLIMITED_KIB = _UNLIMITED_KIB // 2
# A libvirtd that has just started has yet to find the control groups of its running domains.
_GROUPS_FOUND_SECONDS = 2.0
_POLL_SECONDS = 0.2


class LibvirtDomain:
    """Keeps no libvirt object, so that it outlives a restart of libvirtd."""

    def __init__(
        self, connection: Connection, movements: balloon.Movements, network: Network,
        neighbours: Neighbours, server_uuid: str,
    ) -> None:
        self._connection = connection
        self._movements = movements
        self._network = network
        self._neighbours = neighbours
        self._uuid = server_uuid

    def is_paused(self) -> bool:
        return self._state()[0] in _STILL

    def read_memory(self) -> Reading:
        report = self._report()
        self._movements.outdates(self._uuid, report)
        definition = self._definition()
        why_not = definition.pinned or balloon.why_not_alive(definition, report, self.is_paused())
        return Reading(
            applied=report.actual_kib,
            effective=why_not is None,
            reason=why_not and f"the guest's memory cannot be changed: {why_not}",
            details={name: value for name, value in report.figures.items() if name != "actual"},
            hindered="unsupported" if definition.pinned else None,
        )

    def write_memory(self, memory_kib: int) -> None:
        definition = self._definition()
        _require_movable(definition)
        if definition.balloon_model is None:
            raise errors.NoBalloon("memory: the server has no memory balloon device")
        self._do_alone(lambda domain: domain.setMemoryFlags(memory_kib, _LIVE))
        self._movements.started(self._uuid)

    def read_balloon(self) -> Balloon:
        """Like the protocol's; waits up to a period of the statistics for a report that counts."""
        definition = self._definition()
        _require_movable(definition)
        paused = self.is_paused()
        give_up = time.monotonic() + definition.stats_period_s + 1
        while True:
            report = self._report()
            outdated = self._movements.outdates(self._uuid, report)
            why_not = balloon.why_not_alive(definition, report, paused)
            # After a pause, too, the next report may be one period away.
            late = outdated or balloon.is_stale(definition, report)
            waiting = late and report.came_from_guest and not paused
            if not waiting or time.monotonic() > give_up:
                break
            time.sleep(_POLL_SECONDS)
        # A balloon that goes on moving may still grow, but nobody knows what the guest can spare.
        usable_kib = 0 if outdated and not paused else report.usable_kib
        return Balloon(
            why_not is None, why_not, report.actual_kib, usable_kib, definition.autodeflates)

    def read_memory_soft_limit(self) -> Reading:
        kib = self._do(lambda domain: domain.memoryParameters(_LIVE))["soft_limit"]
        return Reading(UNLIMITED if kib >= _LEAST_UNLIMITED_KIB else kib)

    def write_memory_soft_limit(self, memory_kib: int) -> None:
        kib = _UNLIMITED_KIB if memory_kib == UNLIMITED else memory_kib
        self._do_alone(lambda domain: domain.setMemoryParameters({"soft_limit": kib}, _LIVE))

    def read_cpu_shares(self) -> Reading:
        parameters = self._do(lambda domain: domain.schedulerParametersFlags(_LIVE))
        why_not = why_no_shares(self._definition())
        return Reading(parameters["cpu_shares"], effective=why_not is None, reason=why_not)

    def write_cpu_shares(self, shares: int) -> None:
        self._do_alone(
            lambda domain: domain.setSchedulerParametersFlags({"cpu_shares": shares}, _LIVE))

    def read_io_weight(self) -> Reading:
        weight = self._do(lambda domain: domain.blkioParameters(_LIVE))["weight"]
        why_not = iosched.why_not_effective(self._definition().disks)
        return Reading(weight, effective=why_not is None, reason=why_not)

    def write_io_weight(self, weight: int) -> None:
        self._do_alone(lambda domain: domain.setBlkioParameters({"weight": weight}, _LIVE))

    def read_net_priority(self) -> Reading:
        # the definition of a stopped domain can be read as well, and names no devices
        self.require_running()
        return self._network.read_priority(self._definition().interfaces)

    def write_net_priority(self, priority: int) -> None:
        self._network.write_priority(self._uuid, priority, self._neighbours)

    def require_running(self) -> None:
        """:raises ServerNotRunning: there is no running domain of this server."""
        self._state()

    def _state(self) -> tuple[int, int]:
        """What it does, and the reason, both in libvirt's numbers."""
        state, reason = self._do(lambda domain: domain.state())
        if state == libvirt.VIR_DOMAIN_SHUTOFF:
            raise failures.not_running()
        return state, reason

    def _report(self) -> balloon.Report:
        def figures(domain: libvirt.virDomain) -> dict[str, int]:
            # Without a balloon device its size is missing; the memory is as it was defined.
            return {"actual": domain.info()[2], **domain.memoryStats()}

        return balloon.Report(self._do_alone(figures))

    def _definition(self) -> Definition:
        return Definition.parse(self._do(lambda domain: domain.XMLDesc()))

    def _do_alone(self, work: Callable[[libvirt.virDomain], _Answer]) -> _Answer:
        """``_do`` what libvirt does for nobody while the domain is between two hosts; it would
        wait half a minute for that to end."""
        if self._state() == _BETWEEN_HOSTS:
            raise errors.ServerNotRunning("the server is between two hosts; it runs in a moment")
        return self._do(work)

    def _do(self, work: Callable[[libvirt.virDomain], _Answer]) -> _Answer:
        """Do ``work`` on the running domain, with libvirt's errors translated."""

        def on(connection: libvirt.virConnect) -> _Answer:
            domain = connection.lookupByUUIDString(self._uuid)
            give_up = time.monotonic() + _GROUPS_FOUND_SECONDS
            while True:
                try:
                    return work(domain)
                except libvirt.libvirtError as error:
                    if failures.is_connection_lost(error):
                        raise
                    if not failures.is_group_missing(error) or time.monotonic() > give_up:
                        raise failures.translate(error, bool(domain.isActive())) from error
                time.sleep(_POLL_SECONDS)

        try:
            return self._connection.call(on)
        except libvirt.libvirtError as error:
            raise failures.translate(error, running=True) from error


def why_no_shares(definition: Definition) -> str | None:
    """Say why CPU shares do nothing for a domain; None when they divide its CPUs."""
    if definition.dedicated_cpus:
        return ("each vCPU is pinned to a host CPU of its own (dedicated CPUs), so there is "
                "nobody to share it with")
    return None


def _require_movable(definition: Definition) -> None:
    if definition.pinned:
        raise errors.HostCannot(
            "memory: taking memory from this server would free none on its host, because "
            f"{definition.pinned}"
        )
