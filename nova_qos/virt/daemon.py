# SPDX-License-Identifier: Apache-2.0
"""libvirt's daemon, which may be away, or be there and not answer."""

import contextlib
import logging
import threading
import time
from concurrent import futures

import libvirt

from nova_qos.core import errors
from nova_qos.virt import failures

LOG = logging.getLogger(__name__)
_OPEN_S = 5.0
# A daemon that lives but does not answer counts as away after 15 s.
_KEEPALIVE_S, _KEEPALIVE_COUNT = 5, 3
# What nova, too, says that it may be asked: without these, libvirt offers no way to log in with a
# name and a password, and never reads its auth.conf.
_CREDENTIALS = [
    libvirt.VIR_CRED_AUTHNAME, libvirt.VIR_CRED_ECHOPROMPT, libvirt.VIR_CRED_REALM,
    libvirt.VIR_CRED_PASSPHRASE, libvirt.VIR_CRED_NOECHOPROMPT, libvirt.VIR_CRED_EXTERNAL,
]

_Opened = futures.Future[libvirt.virConnect]


class Daemon:
    """The daemon at a URI; used by many threads."""

    def __init__(self, uri: str, limit_s: float = _OPEN_S) -> None:
        """:param limit_s: how long it may take to open a connection"""
        self.uri = uri
        self._limit_s = limit_s
        self._changed = threading.Condition()
        #: Since when a connection has been waited for (monotonic); None = nobody waits for one.
        self._opening_since: float | None = None
        #: Since when it has been away (s since 1970).
        self._away_since: float | None = None
        # Without a handler the library writes every error to stderr, also those we expect.
        libvirt.registerErrorHandler(lambda _context, _error: None, None)

    def open(self) -> libvirt.virConnect:
        """A new connection.

        libvirt's library waits for an answer without limit. So it does that on a thread of its
        own, and while one has waited too long, nobody begins another.

        :raises HostAway: there is no connection within the limit
        """
        if not self._begin():
            raise self._away(self._silence(), self._limit_s)
        opened: _Opened = futures.Future()
        threading.Thread(
            target=self._open, args=(opened,), name="libvirt-open", daemon=True).start()
        try:
            connection = opened.result(self._limit_s)
        except TimeoutError:
            opened.add_done_callback(_close)
            raise self._away(self._silence(), self._limit_s) from None
        except libvirt.libvirtError as error:
            raise self._away(failures.why_not_opened(error)) from error
        self._answers()
        return connection

    def _begin(self) -> bool:
        """Wait until nobody else waits for a connection; False where that has lasted too long."""
        with self._changed:
            while self._opening_since is not None:
                rest_s = self._opening_since + self._limit_s - time.monotonic()
                if rest_s <= 0:
                    return False
                self._changed.wait(rest_s)
            self._opening_since = time.monotonic()
            return True

    def _open(self, opened: _Opened) -> None:
        try:
            connection = libvirt.openAuth(self.uri, [_CREDENTIALS, _unanswered, None], 0)
            # there is none in a process without an event loop
            with contextlib.suppress(libvirt.libvirtError):
                connection.setKeepAlive(_KEEPALIVE_S, _KEEPALIVE_COUNT)
        except libvirt.libvirtError as error:
            opened.set_exception(error)
        else:
            opened.set_result(connection)
        finally:
            with self._changed:
                self._opening_since = None
                self._changed.notify_all()

    def _silence(self) -> str:
        return f"it has not accepted a connection for {self._limit_s:g} s"

    def _away(self, why: str, for_s: float = 0.0) -> errors.HostAway:
        """The error of a daemon that has been away for so long; what is new is logged."""
        since = time.time() - for_s
        with self._changed:
            is_new = self._away_since is None
            if is_new:
                self._away_since = since
        if is_new:
            LOG.warning("libvirt does not answer at %s, since %s: %s",
                        self.uri, time.strftime("%H:%M:%S", time.localtime(since)), why)
        return failures.away(self.uri, why)

    def _answers(self) -> None:
        with self._changed:
            away_since, self._away_since = self._away_since, None
        if away_since is not None:
            LOG.info("libvirt answers again at %s, after %.0f s", self.uri,
                     time.time() - away_since)


def _unanswered(_credentials: object, _opaque: object) -> int:
    """Refuse what libvirt asks for because its auth.conf does not have it."""
    return -1


def _close(opened: _Opened) -> None:
    """Close a connection that nobody waits for any more."""
    if opened.exception() is None:
        opened.result().close()
