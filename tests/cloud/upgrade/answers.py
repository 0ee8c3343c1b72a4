# SPDX-License-Identifier: Apache-2.0
"""What a cloud's users are answered, and whether it holds afterwards."""

import re
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from tests.cloud.api import RECENT, Person
from tests.cloud.upgrade.pool import Pool

#: What every user may be answered; who changes many servers looks at each of their codes.
_FINE = (200, 201, 202, 207)
_ID = re.compile(r"/[0-9a-f-]{32,36}\b")


class Answers:
    """Counts all of them, and notes those that nobody should see; used by many threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._fine = Counter(_FINE)
        self.counts = Counter[int]()
        #: What the operator does at the moment, for people.
        self.step = "the beginning"
        self.wrong: list[str] = []
        #: How many changes were answered as made and looked for, and those that were not found.
        self.looked_for = 0
        self.lost: list[str] = []
        self._longest = (0.0, "")

    @contextmanager
    def allowing(self, *statuses: int) -> Iterator[None]:
        """While inside, these are fine, too, also for requests that end later."""
        with self._lock:
            self._fine.update(statuses)
        try:
            yield
        finally:
            with self._lock:
                self._fine.subtract(statuses)

    def fine(self) -> set[int]:
        """What is fine now."""
        with self._lock:
            return {status for status, times in self._fine.items() if times > 0}

    def note(self, what: str, status: int, took_s: float, fine: set[int], text: str) -> None:
        """Count an answer; text: what it says, for people."""
        with self._lock:
            self.counts[status] += 1
            self._longest = max(self._longest, (took_s, what))
        if status not in fine:
            self.note_wrong(f"{what}: {status} after {took_s:.1f} s: {text[:300]}")

    def note_wrong(self, text: str) -> None:
        """Note what nobody should see."""
        self.wrong.append(f"{self.step}: {text}")

    def note_change(self, what: str, wanted: object, found: object) -> None:
        """Note what is there after a change was answered as made."""
        with self._lock:
            self.looked_for += 1
            if found != wanted:
                self.lost.append(
                    f"{self.step}: {what}: {wanted} was answered as set, and {found} is there")

    def told(self) -> str:
        """All of it in one line."""
        by_status = ", ".join(
            f"{status}: {times}" for status, times in sorted(self.counts.items()))
        return (f"{self.counts.total()} requests ({by_status}), {len(self.wrong)} not as they "
                f"should be; lost {len(self.lost)} of {self.looked_for} changes; the longest "
                f"request took {self._longest[0]:.1f} s ({self._longest[1]})")


class User(Person):
    """Asks the compute API through the load balancer."""

    def __init__(self, environment: Mapping[str, str], pool: Pool, answers: Answers) -> None:
        super().__init__(environment)
        self._pool, self._answers = pool, answers

    def request(
        self, method: str, path: str, service: str = "compute", version: str = RECENT, **body: Any
    ) -> Any:
        if service != "compute":
            return super().request(method, path, service, version, **body)
        what = " ".join([method, _ID.sub("/*", path), *_action(path, body)])
        began, fine = time.monotonic(), self._answers.fine()
        with self._pool.taken() as url:
            try:
                response = super().request(
                    method, path, service, version, endpoint_override=url, **body)
            except Exception as error:
                self._answers.note(what, 0, time.monotonic() - began, set(), repr(error))
                raise
        self._answers.note(what, response.status_code, time.monotonic() - began,
                           fine | self._answers.fine(), response.text)
        return response


def _action(path: str, body: Mapping[str, Any]) -> list[str]:
    return list(body["json"]) if path.endswith("/action") else []
