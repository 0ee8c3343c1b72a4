# SPDX-License-Identifier: Apache-2.0
"""The agent's copy of the policies: a thread keeps it current, a file keeps it for later starts."""

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from random import SystemRandom

from oslo_log import log

from nova_qos.agent.kept import Kept
from nova_qos.agent.schedule import Schedule
from nova_qos.core import assignment, errors
from nova_qos.core.policy import NONE_ID, Catalog
from nova_qos.core.reading import Reading
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
#: The longest time (s) after a failure until the next question, whatever the interval.
_RETRY_S = 60.0
#: An API that gave no answer so long ago (s) gives none to another question either.
_SILENT_S = 3.0
#: How often (s) the log repeats that the policies cannot be fetched.
_REMIND_S = 3600.0
_NOT_YET = Assigned(missing="the host's agent has yet to fetch the policies")
_STALE = "the host's agent could not fetch the policies lately, and its log says why"
_RANDOM = SystemRandom()


class Policies:
    """The policies as this host knows them; used by many threads."""

    def __init__(
        self, fetch: Fetch, directory: str, interval_s: float, changed: Callable[[], None]
    ) -> None:
        """:param directory: where the file lies
        :param interval_s: the time between two questions, in seconds; it differs by a tenth. After
            a failure it is a minute at most
        :param changed: is called when servers may get something else than before
        """
        self._fetch, self._interval_s, self._changed = fetch, interval_s, changed
        self._kept = Kept(directory)
        kept = self._kept.read()
        self._catalog = kept[0] if kept else Catalog()
        self._fetched_at = kept[1] if kept else None
        #: Whether it is known which policies there are. Until it is, what they ask for counts as
        #: unknown, for as long as that takes: an API that is away must not cost anybody a
        #: guarantee.
        self._is_settled = kept is not None
        self._complaint: str | None = None
        #: Since when a question waits for its answer, when the last one failed, and when the log
        #: said so (monotonic).
        self._asking_since: float | None = None
        self._failed_at: float | None = None
        self._said_at = 0.0
        self._schedule = Schedule()
        self._thread: threading.Thread | None = None
        #: Guards the numbers below; notified after each answer.
        self._turn = threading.Condition()
        self._asked, self._answered, self._hinted, self._doubts = 0, 0, 0, 0

    def start(self) -> None:
        """Begin to fetch; without a copy, wait for the first answer, for 2 s at most."""
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
        """Fetch now, and wait for the answer, for so many seconds at most. Not before ``start``."""
        if self._thread is None:
            return
        with self._turn:
            self._asked += 1
            mine = self._asked
            self._schedule.put(_ALL)
            self._turn.wait_for(lambda: self._answered >= mine, within_s)

    def seek(self, within_s: float) -> None:
        """As ``refresh``, for a server whose policy is unknown: what comes of it is seen by
        ``assigned``. Returns at once where the API gave no answer just now: whoever sets a policy
        waits for that once, and not for each server."""
        if not self._is_silent(within_s):
            self.refresh(within_s)

    def assigned(self, server: SavedServer) -> SavedServer:
        """The server with what its policies come to, as far as they are known now."""
        found = assignment.assigned(self._catalog, TABLE, server)
        if self._is_waiting() and server.policy != NONE_ID:
            found = _NOT_YET
        elif found.missing and self._complaint:
            found = replace(found, missing=f"{found.missing}; {_STALE}")
        return replace(server, assigned=found)

    def reading(self) -> Reading:
        """The copy, as the API asks for it: ``applied`` is its revision, None where there is none,
        ``reason`` why the policies could not be fetched last time, as a sentence, and the detail
        ``age_s`` its age in whole seconds."""
        age_s = self.age_s
        if age_s is None:
            return Reading(None, reason=self._complaint)
        return Reading(
            self._catalog.revision, reason=self._complaint, details={"age_s": int(age_s)})

    @property
    def age_s(self) -> float | None:
        """How long ago, in seconds, the copy was fetched or found to be current; None: there is
        none. After a start, the last time that it was fetched counts."""
        fetched_at = self._fetched_at
        return None if fetched_at is None else max(0.0, time.time() - fetched_at)

    def _is_waiting(self) -> bool:
        return not self._is_settled and self._thread is not None

    def _is_silent(self, within_s: float) -> bool:
        now_s, asking_since, failed_at = time.monotonic(), self._asking_since, self._failed_at
        if asking_since is not None and now_s - asking_since >= within_s:
            return True
        return failed_at is not None and now_s - failed_at < _SILENT_S

    def _work(self) -> None:
        while self._schedule.take() is not None:
            with self._turn:
                mine = self._asked
            self._schedule.put(
                _ALL, self._interval_s * _RANDOM.uniform(1 - _JITTER, 1 + _JITTER))
            self._asking_since = time.monotonic()
            self._ask()
            self._asking_since = None
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
                LOG.exception("Unexpected, while the policies were fetched")
            self._fail(repr(error))

    def _take(self, found: Catalog | None) -> None:
        if self._complaint is not None:
            LOG.info("The policies can be fetched again")
        self._complaint = self._failed_at = None
        latest = found or self._catalog
        if self._is_doubtful(latest) and self._is_older(latest):
            return
        self._fetched_at = time.time()
        if found is not None:
            self._put(found)

    def _put(self, found: Catalog) -> None:
        # other words, and policies that come to the same, are no reason to look at servers
        is_news = not self._is_settled or _content(found) != _content(self._catalog)
        self._catalog, self._is_settled = found, True
        self._kept.write(found, self._fetched_at or time.time())
        LOG.info("Policies of revision %s are in place", found.revision)
        if is_news:
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
        self._complaint, self._failed_at = why, time.monotonic()
        if not self._is_settled:
            self._is_settled = True
            self._changed()

    def _fail(self, why: str) -> None:
        now_s = time.monotonic()
        if self._complaint is None or now_s - self._said_at >= _REMIND_S:
            LOG.warning("Could not fetch the policies, %s: %s", self._what_holds(), why)
            self._said_at = now_s
        self._complaint, self._failed_at = why, now_s
        self._schedule.put(
            _ALL, min(self._interval_s, _RETRY_S) * _RANDOM.uniform(1 - _JITTER, 1))

    def _what_holds(self) -> str:
        if self._fetched_at is not None:
            then = datetime.fromtimestamp(int(self._fetched_at), UTC)
            return f"the copy of {then:%Y-%m-%d %H:%M} UTC stays in force"
        if self._is_settled:
            return "none are known"
        return "none are known, and servers keep what this host holds for them"


def _content(catalog: Catalog) -> object:
    """What servers get by it."""
    policies = {number: (each.name, dict(each.settings))
                for number, each in catalog.policies.items()}
    return policies, dict(catalog.projects), catalog.default
