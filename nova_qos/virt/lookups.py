# SPDX-License-Identifier: Apache-2.0
"""Which device a path lies on, asked so that a file system that does not answer stops nobody.

A dead NFS or FUSE mount lets the kernel's answer wait for ever, in a state that nothing can end.
"""

import os
import stat
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

_PATIENCE_S = 1.0


@dataclass(frozen=True)
class Silence:
    """The file system of a path has not answered for so many seconds."""

    for_s: float


#: A device's number as the kernel writes it, such as 8:0; or why it is not known.
Answer = str | OSError | Silence


@dataclass
class _Lookup:
    """One question to a file system; ``answer`` is there once ``done`` is set."""

    began_s: float = field(default_factory=time.monotonic)
    done: threading.Event = field(default_factory=threading.Event)
    answer: str | OSError | None = None


class Lookups:
    """Looks up the devices of paths, each on a thread of its own; used by many threads.

    Only one thread at a time waits for a path. Whoever asks while it has waited for longer than
    ``patience_s`` hears so at once.
    """

    def __init__(
        self, status: Callable[[str], os.stat_result] = os.stat, patience_s: float = _PATIENCE_S
    ) -> None:
        self._status, self._patience_s = status, patience_s
        self._lock = threading.Lock()
        self._waiting: dict[str, _Lookup] = {}

    def devices(self, paths: Iterable[str]) -> Mapping[str, Answer]:
        """The block device that each path is, else the device that it lies on; returns within
        ``patience_s``."""
        asked = {path: self._ask(path) for path in paths}
        return {path: self._hear(lookup) for path, lookup in asked.items()}

    def _ask(self, path: str) -> _Lookup:
        with self._lock:
            lookup = self._waiting.get(path)
            if lookup is None:
                lookup = _Lookup()
                threading.Thread(target=self._look, args=(path, lookup), daemon=True,
                                 name="path-lookup").start()
                self._waiting[path] = lookup
            return lookup

    def _hear(self, lookup: _Lookup) -> Answer:
        lookup.done.wait(max(0.0, lookup.began_s + self._patience_s - time.monotonic()))
        return lookup.answer or Silence(time.monotonic() - lookup.began_s)

    def _look(self, path: str, lookup: _Lookup) -> None:
        try:
            lookup.answer = _number(self._status(path))
        except OSError as error:
            lookup.answer = error
        finally:
            with self._lock:
                del self._waiting[path]
            lookup.done.set()


def _number(status: os.stat_result) -> str:
    number = status.st_rdev if stat.S_ISBLK(status.st_mode) else status.st_dev
    return f"{os.major(number)}:{os.minor(number)}"
