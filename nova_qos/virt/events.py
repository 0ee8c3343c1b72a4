# SPDX-License-Identifier: Apache-2.0
"""libvirt's events, and a connection that comes back by itself.

libvirt calls back on the thread of its event loop, which must not call libvirt itself.
"""

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Mapping

import libvirt

from nova_qos.core import errors
from nova_qos.host import Change, Listener
from nova_qos.virt.connection import Connection
from nova_qos.virt.daemon import Daemon

LOG = logging.getLogger(__name__)
_RETRY_SECONDS = 2.0
_MEANING: dict[int, Change] = {
    libvirt.VIR_DOMAIN_EVENT_STARTED: "started",
    libvirt.VIR_DOMAIN_EVENT_RESUMED: "changed",
    libvirt.VIR_DOMAIN_EVENT_STOPPED: "ended",
}
_DISK_LIMITS = "blkdeviotune."


class Events:
    """Tells a listener what happens to servers until the process ends."""

    def __init__(self, daemon: Daemon, listener: Listener) -> None:
        self._listener = listener
        handlers: dict[int, Callable[..., None]] = {
            libvirt.VIR_DOMAIN_EVENT_ID_LIFECYCLE: self._lifecycle,
            libvirt.VIR_DOMAIN_EVENT_ID_REBOOT: self._started,
            libvirt.VIR_DOMAIN_EVENT_ID_DEVICE_ADDED: self._changed,
            libvirt.VIR_DOMAIN_EVENT_ID_DEVICE_REMOVED: self._changed,
            libvirt.VIR_DOMAIN_EVENT_ID_TUNABLE: self._tuned,
        }
        self._connection = Connection(daemon, handlers, lambda: listener(None, "unknown"))

    def start(self) -> None:
        """Begin; libvirt need not be there yet."""
        threading.Thread(target=self._stay_connected, name="libvirt-watch", daemon=True).start()

    def _stay_connected(self) -> None:
        while True:
            # opens it when it is lost
            with contextlib.suppress(errors.HostAway, libvirt.libvirtError):
                self._connection.call(lambda connection: connection.getLibVersion())
            time.sleep(_RETRY_SECONDS)

    def _lifecycle(
        self, _connection: libvirt.virConnect, domain: libvirt.virDomain, event: int, _detail: int,
        _opaque: object,
    ) -> None:
        if event in _MEANING:
            self._listener(domain.UUIDString(), _MEANING[event])

    def _started(
        self, _connection: libvirt.virConnect, domain: libvirt.virDomain, *_details: object
    ) -> None:
        self._listener(domain.UUIDString(), "started")

    def _changed(
        self, _connection: libvirt.virConnect, domain: libvirt.virDomain, *_details: object
    ) -> None:
        self._listener(domain.UUIDString(), "changed")

    def _tuned(
        self, _connection: libvirt.virConnect, domain: libvirt.virDomain,
        tuned: Mapping[str, object], _opaque: object,
    ) -> None:
        # the limits of disks are a part of the definition
        if any(name.startswith(_DISK_LIMITS) for name in tuned):
            self._listener(domain.UUIDString(), "changed")


def run_loop() -> None:
    """Run libvirt's event loop on a thread of its own; to be called before any connection is
    opened, once in a process."""
    libvirt.virEventRegisterDefaultImpl()

    def loop() -> None:
        while True:
            try:
                libvirt.virEventRunDefaultImpl()
            except Exception:
                # without this thread there are no events, and every connection counts as lost
                LOG.exception("libvirt's event loop failed; it continues")
                time.sleep(_RETRY_SECONDS)

    threading.Thread(target=loop, name="libvirt-events", daemon=True).start()
