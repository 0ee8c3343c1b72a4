# SPDX-License-Identifier: Apache-2.0
"""The same with several things at a time."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

_Thing = TypeVar("_Thing")
_Result = TypeVar("_Result")


def together(act: Callable[[_Thing], _Result], things: Sequence[_Thing]) -> list[_Result]:
    """Do something with all at the same time, wait for all, and return what each gave, in order.

    Raises the error of the first that failed.
    """
    with ThreadPoolExecutor(len(things)) as pool:
        return list(pool.map(act, things))
