# SPDX-License-Identifier: Apache-2.0
"""The agent's copy of the policies: a thread keeps it current, a file keeps it for later starts."""

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from random import SystemRandom

from oslo_log import log

from nova_qos.agent.kept import Kept
from nova_qos.agent.schedule import Schedule
from nova_qos.core import assignment, errors
from nova_qos.core.policy import NONE_ID, Catalog
from nova_qos.core.server import SavedServer
from nova_qos.core.source import Assigned
from nova_qos.resources import TABLE

LOG = log.getLogger(__name__)
#: Asks for the policies: what is known, and its ETag, None where nothing is known. Returns None
#: where that is current. Raises ``NoDatabase``: there are no policies; ``Unreachable``: all else.
Fetch = Callable[[Catalog, str | None], Catalog | None]

#: What stands on the schedule.
_ALL = "all"
#: The part of the interval by which polls differ: agents started together do not ask together.
_JITTER = 0.1
#: The longest time (s) after a hint: it reaches all agents at the same moment.
_SPREAD_S = 2.0
#: An answer older than what is known may come from a database node that lags behind. Then the next
#: question follows after so long (s), the pause doubles, and the last answer is believed.
_LAG_S, _MOST_DOUBTS = 0.5, 4
#: How long (s) a start without a copy waits for the first answer.
_FIRST_S = 2.0
#: How long (s) after such a start what policies ask for counts as unknown, so that nothing is
#: reset; an API that is away for longer counts as one without policies.
_HOPE_S = 300.0
_NOT_YET = "the host's agent has yet to fetch the policies"
_STALE = "the host's agent could not fetch the policies lately, and its log says why"
_RANDOM = SystemRandom()


class Policies:
    """The policies as this host knows them; used by many threads."""

    def __init__(
        self, fetch: Fetch, directory: str, interval_s: float, changed: Callable[[], None]
    ) -> None:
        """:param directory: where the file lies
        :param interval_s: the time between two questions, in seconds; it differs by a tenth
        :param changed: is called when other policies than before are in place
        """
        self._fetch, self._interval_s, self._changed = fetch, interval_s, changed
        self._kept = Kept(directory)
        kept = self._kept.read()
        self._catalog = kept[0] if kept else Catalog()
        self._fetched_at = kept[1] if kept else None
        #: Whether it is known which policies there are.
        self._is_settled = kept is not None
        self._complaint: str | None = None
        self._schedule = Schedule()
        self._thread: threading.Thread | None = None
        self._started_at = 0.0
        #: Guards the numbers below; notified after each answer.
        self._turn = threading.Condition()
        self._asked, self._answered, self._hinted, self._doubts = 0, 0, 0, 0

    def start(self) -> None:
        """Begin to fetch; without a copy, wait for the first answer, for 2 s at most."""
        self._started_at = time.monotonic()
        self._asked, waits = 1, not self._is_settled
        self._schedule.put(_ALL)
        self._thread = threading.Thread(target=self._work, name="qos-policies", daemon=True)
        self._thread.start()
        if waits:
            with self._turn:
                self._turn.wait_for(lambda: self._answered >= 1, _FIRST_S)

    def stop(self) -> None:
        """Fetch no more; a question that is under way ends with the process."""
        self._schedule.close()

    def hint(self, revision: int) -> None:
        """Fetch within 2 s, and again for some seconds while the answer is older than this."""
        with self._turn:
            self._hinted = max(self._hinted, revision)
        self._schedule.put(_ALL, _RANDOM.uniform(0.0, _SPREAD_S))

    def refresh(self, within_s: float) -> None:
        """Fetch now, for a server whose policy is unknown, and wait for the answer, for so many
        seconds at most; what comes of it is seen by ``assigned``. Not before ``start``."""
        if self._thread is None:
            return
        with self._turn:
            self._asked += 1
            mine = self._asked
            self._schedule.put(_ALL)
            self._turn.wait_for(lambda: self._answered >= mine, within_s)

    def assigned(self, server: SavedServer) -> SavedServer:
        """The server with what its policies come to, as far as they are known now."""
        found = assignment.assigned(self._catalog, TABLE, server)
        if self._is_waiting() and server.policy != NONE_ID:
            found = Assigned(missing=_NOT_YET)
        elif found.missing and self._complaint:
            found = replace(found, missing=f"{found.missing}; {_STALE}")
        return replace(server, assigned=found)

    @property
    def age_s(self) -> float | None:
        """How long ago, in seconds, the copy was fetched or found to be current; None: there is
        none. After a start, the last time that it was fetched counts."""
        fetched_at = self._fetched_at
        return None if fetched_at is None else max(0.0, time.time() - fetched_at)

    @property
    def complaint(self) -> str | None:
        """Why the policies could not be fetched last time, as a sentence; None: they could."""
        return self._complaint

    def _is_waiting(self) -> bool:
        return (not self._is_settled and self._thread is not None
                and time.monotonic() - self._started_at < _HOPE_S)

    def _work(self) -> None:
        while self._schedule.take() is not None:
            with self._turn:
                mine = self._asked
            self._schedule.put(
                _ALL, self._interval_s * _RANDOM.uniform(1 - _JITTER, 1 + _JITTER))
            self._ask()
            with self._turn:
                self._answered = mine
                self._turn.notify_all()

    def _ask(self) -> None:
        try:
            known = self._catalog
            etag = f'"{known.database}-{known.revision}"' if self._fetched_at is not None else None
            self._take(self._fetch(known, etag))
        except errors.NoDatabase as error:
            self._have_none(error.message)
        except errors.Unreachable as error:
            self._fail(error.message)
        except Exception as error:
            if self._complaint is None:
                LOG.exception("Could not fetch the policies")
            self._complaint = repr(error)

    def _take(self, found: Catalog | None) -> None:
        if self._complaint is not None:
            LOG.info("The policies can be fetched again")
            self._complaint = None
        latest = found or self._catalog
        if self._is_doubtful(latest) and self._is_older(latest):
            return
        self._fetched_at = time.time()
        if found is not None:
            self._put(found)

    def _put(self, found: Catalog) -> None:
        self._catalog, self._is_settled = found, True
        self._kept.write(found, self._fetched_at or time.time())
        LOG.info("Policies of revision %s are in place", found.revision)
        self._changed()

    def _is_doubtful(self, found: Catalog) -> bool:
        """Whether a later answer may be newer; then the next question is on the schedule."""
        with self._turn:
            is_behind = found.revision < self._hinted or self._is_older(found)
            if not is_behind or self._doubts == _MOST_DOUBTS:
                self._doubts = self._hinted = 0
                return False
            self._schedule.put(_ALL, _LAG_S * 2**self._doubts)
            self._doubts += 1
            return True

    def _is_older(self, found: Catalog) -> bool:
        known = self._catalog
        return found.database == known.database and found.revision < known.revision

    def _have_none(self, why: str) -> None:
        if self._fetched_at is not None:
            # it is more likely that somebody broke the API's configuration
            self._fail(why)
            return
        if self._complaint is None:
            LOG.info("There are no named policies: %s", why)
        self._complaint = why
        if not self._is_settled:
            self._is_settled = True
            self._changed()

    def _fail(self, why: str) -> None:
        if self._complaint is None:
            LOG.warning("Could not fetch the policies, %s: %s", "none are known"
                        if self._fetched_at is None else "the copy stays in force", why)
        self._complaint = why
