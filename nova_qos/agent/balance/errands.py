# SPDX-License-Identifier: Apache-2.0
"""What is done about single servers beside the balancer's own thread."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from oslo_log import log

from nova_qos.core.errors import QosError

LOG = log.getLogger(__name__)
#: How many are done side by side; a guest that hangs holds a thread until libvirt's time is over.
_WORKERS = 4


class Errands:
    """Does things on threads of its own: for each subject one at a time."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._under_way: set[str] = set()
        self._failing: set[str] = set()
        self._workers = ThreadPoolExecutor(_WORKERS, "qos-balance-guest")

    def begin(self, subject: str, what: str, work: Callable[[], None]) -> None:
        """Begin something, unless something is under way for its subject. That it fails is logged
        once, until it succeeds again.

        :param what: as it goes on after "Could not"
        """
        with self._lock:
            if subject in self._under_way:
                return
            self._under_way.add(subject)
        try:
            self._workers.submit(self._do, subject, what, work)
        except RuntimeError:
            # the agent is being stopped
            self._end(subject)

    def stop(self) -> None:
        """Begin nothing more; what is under way is finished."""
        self._workers.shutdown(wait=False, cancel_futures=True)

    def _do(self, subject: str, what: str, work: Callable[[], None]) -> None:
        try:
            work()
            self._failing.discard(subject)
        except QosError as error:
            if self._is_new_failure(subject):
                LOG.warning("Could not %s: %s", what, error.message)
        except Exception:
            if self._is_new_failure(subject):
                LOG.exception("Could not %s", what)
        finally:
            self._end(subject)

    def _is_new_failure(self, subject: str) -> bool:
        is_new = subject not in self._failing
        self._failing.add(subject)
        return is_new

    def _end(self, subject: str) -> None:
        with self._lock:
            self._under_way.discard(subject)
