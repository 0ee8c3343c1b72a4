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
from pathlib import Path

_PATIENCE_S = 1.0
#: The kernel writes it without a question to any file system.
_MOUNTS = Path("/proc/self/mountinfo")


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
    ``patience_s`` hears so at once; likewise for other paths on the same network file system, so
    that a host full of servers on a dead mount waits for it once.
    """

    def __init__(
        self, status: Callable[[str], os.stat_result] = os.stat,
        patience_s: float = _PATIENCE_S, mounts: Path = _MOUNTS,
    ) -> None:
        self._status, self._patience_s, self._mounts = status, patience_s, mounts
        self._lock = threading.Lock()
        self._waiting: dict[str, _Lookup] = {}

    def devices(self, paths: Iterable[str]) -> Mapping[str, Answer]:
        """The block device that each path is, else the device that it lies on; returns within
        ``patience_s``."""
        asked = {path: self._ask(path) for path in paths}
        return {path: self._hear(each) for path, each in asked.items()}

    def _ask(self, path: str) -> _Lookup | Silence:
        with self._lock:
            if path in self._waiting:
                return self._waiting[path]
            if (silence := self._silence_beside(path)) is not None:
                return silence
            lookup = _Lookup()
            threading.Thread(target=self._look, args=(path, lookup), daemon=True,
                             name="path-lookup").start()
            self._waiting[path] = lookup
            return lookup

    def _silence_beside(self, path: str) -> Silence | None:
        """That of the file system that a path is on, where another path on it waits in vain."""
        now_s = time.monotonic()
        late = {each: now_s - lookup.began_s for each, lookup in self._waiting.items()
                if now_s - lookup.began_s > self._patience_s}
        if not late:
            return None
        mounts = _read(self._mounts)
        mine = _network_mount(mounts, path)
        return next((Silence(for_s) for each, for_s in late.items()
                     if mine is not None and mine == _network_mount(mounts, each)), None)

    def _hear(self, asked: _Lookup | Silence) -> Answer:
        if isinstance(asked, Silence):
            return asked
        asked.done.wait(max(0.0, asked.began_s + self._patience_s - time.monotonic()))
        return asked.answer or Silence(time.monotonic() - asked.began_s)

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


def _read(mounts: Path) -> dict[str, bool]:
    """All mount points, and whether what is mounted there has no block device of its own."""
    lines = [line.split() for line in mounts.read_text().splitlines()]
    return {point.replace("\\040", " "): number.startswith("0:")
            for _, _, number, _, point, *_ in lines}


def _network_mount(mounts: Mapping[str, bool], path: str) -> str | None:
    """The mount point that a path is below, by names alone; None where it has a block device, and
    for the root, where a link may lead anywhere."""
    for place in map(str, Path(path).parents):
        if place in mounts:
            return place if mounts[place] and place != "/" else None
    return None
