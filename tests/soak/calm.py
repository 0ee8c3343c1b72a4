# SPDX-License-Identifier: Apache-2.0
"""Operations and calm, one after the other."""

import contextlib
import threading
from collections.abc import Iterator


class Calm:
    """Times without operations: those under way end first, others wait."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._operating = 0
        self._calm = False

    @contextlib.contextmanager
    def operation(self) -> Iterator[None]:
        """Operate, once it is not calm."""
        with self._changed:
            self._changed.wait_for(lambda: not self._calm)
            self._operating += 1
        try:
            yield
        finally:
            with self._changed:
                self._operating -= 1
                self._changed.notify_all()

    @contextlib.contextmanager
    def kept(self) -> Iterator[None]:
        """Keep it calm."""
        with self._changed:
            self._calm = True
            self._changed.wait_for(lambda: not self._operating)
        try:
            yield
        finally:
            with self._changed:
                self._calm = False
                self._changed.notify_all()
