# SPDX-License-Identifier: Apache-2.0
"""Where the time of a request goes: in functions of ours that do not call each other."""

import functools
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest import mock

#: By what they do: a module or class, and the name of a function in it.
Places = Mapping[str, tuple[object, str]]


class Spans:
    """Adds up how long functions take, in seconds of wall clock, while ``measured`` lasts."""

    def __init__(self, places: Places) -> None:
        self._places = places
        self.whole_s = 0.0
        self.parts_s = dict.fromkeys(places, 0.0)

    @contextmanager
    def measured(self) -> Iterator[None]:
        """Measure what happens inside."""
        with ExitStack() as patches:
            for what, (owner, name) in self._places.items():
                patches.enter_context(mock.patch.object(
                    owner, name, self._timed(what, getattr(owner, name))))
            began = time.perf_counter()
            yield
            self.whole_s += time.perf_counter() - began

    def lines(self, times: int) -> Iterator[str]:
        """Each part of one of so many requests, in milliseconds and percent, and the rest."""
        rest_s = self.whole_s - sum(self.parts_s.values())
        for what, part_s in {**self.parts_s, "everything else": rest_s}.items():
            yield (f"    {what:<54} {1000 * part_s / times:7.1f} ms "
                   f"{100 * part_s / self.whole_s:5.1f} %")

    def _timed(self, what: str, function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def timed(*args: Any, **kwargs: Any) -> Any:
            began = time.perf_counter()
            try:
                return function(*args, **kwargs)
            finally:
                self.parts_s[what] += time.perf_counter() - began

        return timed
