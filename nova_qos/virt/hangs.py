# SPDX-License-Identifier: Apache-2.0
"""Guests whose QEMU does not answer libvirt, such as those whose disks hang."""

import logging
import threading
import time
from collections.abc import Callable, Container

import libvirt

from nova_qos.core import errors

LOG = logging.getLogger(__name__)
#: A QEMU that has not answered for so long hangs; one that is well answers within milliseconds.
HANGS_S = 0.8
#: After so long, it is looked whether a guest hangs; the call may have met it a little late.
PATIENCE_S = HANGS_S + 0.2


class Hangs:
    """Which guests hang, as far as somebody has found out; used by many threads.

    libvirt itself knows since when a QEMU has been asked something without an answer, whoever
    asked, and tells that at once. This remembers what was logged.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        #: Since when (s since 1970), by the server's uuid.
        self._since: dict[str, float] = {}
        self._told: Callable[[str], None] = lambda server_uuid: None

    def tell(self, told: Callable[[str], None]) -> None:
        """Have this called with each server whose QEMU answers again."""
        self._told = told

    def require_answer(self, domain: libvirt.virDomain, patience_s: float = HANGS_S) -> None:
        """Only pass where the domain's QEMU can be asked something.

        :raises HostRefused: it has not answered for longer than that, or is known to hang
        """
        server_uuid, for_s = domain.UUIDString(), silent_s(domain)
        if for_s > (HANGS_S if self.knows(server_uuid) else patience_s):
            raise self.found(server_uuid, for_s)

    def knows(self, server_uuid: str) -> bool:
        """Whether a guest was found to hang, and has not answered since."""
        with self._lock:
            return server_uuid in self._since

    def found(self, server_uuid: str, for_s: float) -> errors.HostRefused:
        """The error of a guest that has not answered for so many seconds."""
        since = time.time() - for_s
        with self._lock:
            is_new = server_uuid not in self._since
            self._since.setdefault(server_uuid, since)
        if is_new:
            LOG.warning(
                "The QEMU of server %s does not answer, since %s; until it does, settings that "
                "need it are refused for this server. See what its disks lie on", server_uuid,
                time.strftime("%H:%M:%S", time.localtime(since)))
        return errors.HostRefused(
            f"the guest's QEMU does not answer, since {for_s:.0f} s; see what its disks lie on")

    def answered(self, server_uuid: str) -> None:
        """Take note that a QEMU has answered."""
        with self._lock:
            since = self._since.pop(server_uuid, None)
        if since is not None:
            LOG.info("The QEMU of server %s answers again, after %.0f s", server_uuid,
                     time.time() - since)
            self._told(server_uuid)

    def retain(self, server_uuids: Container[str]) -> None:
        """Forget all other servers: they have ended."""
        with self._lock:
            self._since = {uuid: since for uuid, since in self._since.items()
                           if uuid in server_uuids}


def silent_s(domain: libvirt.virDomain) -> float:
    """For how many seconds a domain's QEMU has owed libvirt an answer.

    :raises libvirtError: the domain has ended, so that there is no QEMU to answer
    """
    state, _detail, for_ms = domain.controlInfo()
    return for_ms / 1000 if state == libvirt.VIR_DOMAIN_CONTROL_OCCUPIED else 0.0
