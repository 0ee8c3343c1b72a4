# SPDX-License-Identifier: Apache-2.0
"""Time as this process has it: on a machine that has no processor for it, it stands still.

So a test can say how long something may take, and holds on a busy machine.
"""

import threading
from collections.abc import Callable
from types import TracebackType

_TURN_S = 0.01
#: For what only has to come: it ends as soon as it is there.
LONG_S = 30.0


class Stopwatch:
    """How long a block takes: a thread sleeps 10 ms again and again, and counts.

    While nobody lets it, it counts nothing; so it may show less than has passed, and never more.
    """

    def __init__(self) -> None:
        self._turns, self._over = 0, threading.Event()
        self._thread = threading.Thread(target=self._count, name="stopwatch", daemon=True)

    @property
    def seconds(self) -> float:
        """So far, or until the end of the block."""
        return self._turns * _TURN_S

    def __enter__(self) -> "Stopwatch":
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        where: TracebackType | None,
    ) -> None:
        self._over.set()
        self._thread.join()

    def _count(self) -> None:
        while not self._over.wait(_TURN_S):
            self._turns += 1


def eventually(
    holds: Callable[[], object], within_s: float = LONG_S, each_s: float = 0.01
) -> None:
    """Wait until it holds, or fail.

    :param within_s: by the stopwatch; to be given where it is a promise
    """
    pause = threading.Event()
    with Stopwatch() as watch:
        while not holds():
            assert watch.seconds < within_s, "it did not come to hold"
            pause.wait(each_s)
