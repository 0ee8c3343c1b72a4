# SPDX-License-Identifier: Apache-2.0
"""Calls of libvirt, each with a time limit and its errors translated."""

from collections.abc import Callable
from typing import TypeVar

import libvirt

from nova_qos.core import errors
from nova_qos.virt import failures
from nova_qos.virt.daemon import Daemon
from nova_qos.virt.hangs import Hangs
from nova_qos.virt.pool import LIMIT_S, Call, Overdue, Pool

_Answer = TypeVar("_Answer")
_Work = Callable[[libvirt.virConnect], _Answer]
# libvirt has 20 threads for all its clients, and each guest that hangs takes one for each call.
_THREADS = 8
# Those that wait for a definition; a guest that is known to hang takes none of them.
_DESCRIBING = 4
_PROBE_S = 1.0
# Version 9.0 of libvirt tells a definition at once, 11.3 waits; nobody has tried those between.
_WAITS_FOR_QEMU = 10_000_000
# How long a call for any QEMU waits for a thread.
_FREE_S = 1.0


class Calls:
    """The calls of one host; used by many threads.

    Those that wait for a guest's QEMU have threads of their own, so that guests that hang can take
    no others.
    """

    def __init__(self, uri: str) -> None:
        self.daemon = Daemon(uri)
        self.hangs = Hangs()
        self._own = Pool(self.daemon, _THREADS)
        self._qemu = Pool(self.daemon, _THREADS)
        self._describing = Pool(self.daemon, _DESCRIBING)

    def call(
        self, subject: str, work: _Work[_Answer], limit_s: float = LIMIT_S
    ) -> _Answer:
        """A call that libvirt answers by itself; libvirt's own errors pass through.

        :param subject: the server's uuid, or another name: at a time there is one call about it
        :raises HostAway: libvirt does not answer
        :raises HostRefused: it answers, but not this
        """
        try:
            return self._own.call(subject, work, limit_s)
        except Overdue as late:
            why = f"no answer for {late.for_s or limit_s:.0f} s"
            if self._responds():
                raise errors.HostRefused(f"libvirt answers, but not this: {why}") from late
            raise failures.away(self.daemon.uri, why) from late

    def ask(self, server_uuid: str, work: _Work[_Answer]) -> _Answer:
        """A call for which libvirt asks the server's QEMU, or waits until it has nothing else to
        do with the server; libvirt's own errors pass through.

        :raises HostAway: libvirt does not answer
        :raises HostRefused: the guest's QEMU does not answer
        """
        return self.begin_to_ask(server_uuid, work)()

    def begin_to_ask(self, server_uuid: str, work: _Work[_Answer]) -> Callable[[], _Answer]:
        """Begin such a call; what this returns waits for it, and does what ``ask`` does."""
        begun: Call[_Answer] | Overdue
        try:
            begun = self._qemu.begin(server_uuid, work)
        except Overdue as late:
            begun = late

        def wait() -> _Answer:
            try:
                if isinstance(begun, Overdue):
                    raise begun
                return begun.wait()
            except Overdue as late:
                raise self._why_late(server_uuid, late, _THREADS) from late

        return wait

    def describe(self, server_uuid: str, limit_s: float) -> str:
        """The definition of a server's domain; libvirt's own errors pass through.

        Later versions of libvirt do not tell it before the QEMU has answered what it was asked.

        :param limit_s: how long to wait for that

        :raises HostAway: libvirt does not answer
        :raises HostRefused: the guest's QEMU does not answer
        """
        subject = f"definition of {server_uuid}"

        def by_itself(connection: libvirt.virConnect) -> str | None:
            if connection.getLibVersion() >= _WAITS_FOR_QEMU:
                return None
            return str(connection.lookupByUUIDString(server_uuid).XMLDesc())

        def wait(connection: libvirt.virConnect) -> str:
            domain = connection.lookupByUUIDString(server_uuid)
            self.hangs.require_answer(domain)
            return str(domain.XMLDesc())

        told = self.call(subject, by_itself)
        if told is not None:
            return told
        try:
            return self._describing.call(subject, wait, limit_s)
        except Overdue as late:
            raise self._why_late(server_uuid, late, _DESCRIBING) from late

    def begin(self, subject: str, work: _Work[_Answer]) -> Call[_Answer]:
        """Begin a call for which libvirt may wait for any QEMU.

        :raises HostRefused: too many hang
        """
        try:
            return self._qemu.begin(subject, work, _FREE_S)
        except Overdue as late:
            raise _too_many(_THREADS) from late

    def close(self) -> None:
        """Close the connections that are not in use; a later call opens new ones."""
        self._own.close()
        self._qemu.close()
        self._describing.close()

    def _responds(self) -> bool:
        try:
            self._own.call("probe", lambda connection: connection.getLibVersion(), _PROBE_S)
        except (Overdue, errors.HostAway, libvirt.libvirtError):
            return False
        return True

    def _why_late(self, server_uuid: str, late: Overdue, threads: int) -> errors.HostRefused:
        if late.for_s is None:
            return _too_many(threads)
        state, _detail, for_ms = self.call(
            server_uuid,
            lambda connection: connection.lookupByUUIDString(server_uuid).controlInfo())
        if state == libvirt.VIR_DOMAIN_CONTROL_OCCUPIED:
            return self.hangs.found(server_uuid, late.for_s)
        # of a job that lasts, such as a migration, it does not tell since when
        for_s = for_ms / 1000 if state == libvirt.VIR_DOMAIN_CONTROL_JOB else late.for_s
        return errors.HostRefused(
            f"libvirt has been at work on this server for {for_s:.0f} s (a migration, a snapshot "
            "or a backup); try again when that has ended")


def _too_many(threads: int) -> errors.HostRefused:
    return errors.HostRefused(
        f"{threads} calls already wait for the QEMUs of guests that do not answer; see what "
        "their disks lie on")
