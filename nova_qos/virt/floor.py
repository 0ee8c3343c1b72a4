# SPDX-License-Identifier: Apache-2.0
"""The memory that a server is guaranteed, with cgroup v1 and v2.

On every host it is a floor for the server's balloon, which the settings themselves are checked for.
On cgroup v2, the kernel keeps it too: memory.min.
"""

import abc
from collections.abc import Mapping

from nova_qos.core import errors
from nova_qos.core.plan import Granted, reading_of, why_less_memory
from nova_qos.core.reading import Reading
from nova_qos.core.units import KIB_PER_MIB, UNLIMITED
from nova_qos.host import Ability
from nova_qos.virt.groups import Group
from nova_qos.virt.kernel import Configuration, Kernel
from nova_qos.virt.promises import Promises
from nova_qos.virt.protection import MIN, LookAbove, Protection
from nova_qos.virt.session import Session

_NAME = "memory_guarantee"
_BYTES_PER_MIB = 1024 * KIB_PER_MIB
_BALLOON_ALONE = ("no setting takes it, and balancing only what its guest does not use; cgroup v1 "
                  "cannot keep the kernel from reclaiming it")


class Floor(abc.ABC):
    """What a domain is guaranteed: noted, and counted with what other servers are."""

    def __init__(self, session: Session, promises: Promises) -> None:
        self._session, self._promises = session, promises

    @abc.abstractmethod
    def read(self) -> Mapping[str, Reading]:
        """MiB, or UNLIMITED."""

    @abc.abstractmethod
    def write(self, values: Mapping[str, int]) -> None:
        """Set or remove it."""

    def admit(self, values: Mapping[str, int]) -> None:
        """See ``host.Domain.admit``."""
        memory_mib = values.get(_NAME, UNLIMITED)
        if memory_mib != UNLIMITED:
            self._require_movable()
            self._promises.require_room(
                self._session.server_uuid, self._session.machine(), memory_mib=memory_mib)

    def _ask(self, memory_mib: int) -> Granted:
        if memory_mib != UNLIMITED:
            self._require_movable()
        return self._promises.ask(self._session.server_uuid, self._session.machine(),
                                  memory_mib=max(0, memory_mib))

    def _require_movable(self) -> None:
        pinned = self._session.definition().pinned
        if pinned:
            raise errors.HostCannot(
                f"{_NAME}: the server has all of its memory at any time, because {pinned}")

    def _promised(self) -> Reading:
        """What the server is promised and granted."""
        promise = self._promises.of(self._session.server_uuid)
        if promise is None or not promise.asked.memory_mib:
            return Reading(UNLIMITED)
        why_less = why_less_memory(
            (each.memory_mib for each in self._promises.all_asked()), self._promises.capacity)
        return reading_of(promise.asked.memory_mib, promise.granted.memory_mib, why_less)


class FloorV1(Floor):
    """cgroup v1 has nothing to write: the guarantee is noted alone."""

    def read(self) -> Mapping[str, Reading]:
        """MiB, or UNLIMITED."""
        self._session.require_running()
        reading = self._promised()
        if reading.applied == UNLIMITED or not reading.effective:
            return {_NAME: reading}
        return {_NAME: Reading(reading.applied, reason=_BALLOON_ALONE)}

    def write(self, values: Mapping[str, int]) -> None:
        """Note or forget it."""
        self._ask(values[_NAME])

    @staticmethod
    def abilities(configuration: Configuration, kernel: Kernel) -> Mapping[str, Ability]:
        """What this host can do with guarantees of memory."""
        return {_NAME: Ability(how=_BALLOON_ALONE)}


class FloorV2(Floor):
    """On cgroup v2, memory.min of the server's group, of libvirt's inside of it, and above it."""

    def __init__(
        self, session: Session, promises: Promises, protection: Protection,
        look_above: LookAbove | None = None,
    ) -> None:
        """:param look_above: see ``Protection.why_not_effective``"""
        super().__init__(session, promises)
        self._protection, self._look_above = protection, look_above

    def read(self) -> Mapping[str, Reading]:
        """MiB, or UNLIMITED."""
        with self._session.group("memory") as group:
            memory_mib = group.read(MIN.file) // _BYTES_PER_MIB
            why_not = self._protection.why_not_effective(
                group, self._look_above) if memory_mib else None
        promised = self._promised()
        if promised.applied != (memory_mib or UNLIMITED):
            return {_NAME: Reading(memory_mib or UNLIMITED)}
        if why_not is not None and promised.effective:
            return {_NAME: Reading(promised.applied, effective=False, reason=why_not)}
        return {_NAME: promised}

    def write(self, values: Mapping[str, int]) -> None:
        """Set or remove it."""
        granted = self._ask(values[_NAME])
        with self._session.group("memory") as group:
            self._protection.set(group, granted.memory_mib * _BYTES_PER_MIB)

    @staticmethod
    def abilities(configuration: Configuration, kernel: Kernel) -> Mapping[str, Ability]:
        """What this host can do with guarantees of memory."""
        return {_NAME: Ability(
            kernel.why_not("memory"), kernel.why_no_swap(), f"{kernel.cgroup}, memory.min")}


def give_v2(
    protection: Protection, group: Group, before: Granted, now: Granted
) -> None:
    """Protect what another server is granted now."""
    if now.memory_mib != before.memory_mib:
        protection.set(group, now.memory_mib * _BYTES_PER_MIB)
