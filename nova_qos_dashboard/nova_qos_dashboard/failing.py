# SPDX-License-Identifier: Apache-2.0
"""What pages say where something is not to be had: a sentence in place of the table."""

from collections.abc import Callable
from typing import Any, TypeVar

from nova_qos_dashboard.cloud import FAILURES, sentence

T = TypeVar("T")


class Failing:
    """A view or a tab that collects what went wrong."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.failures: list[str] = []

    def attempt(self, ask: Callable[[], T], otherwise: T) -> T:
        """The answer, or what stands in for it after a failure, which the page will tell."""
        try:
            return ask()
        except FAILURES as error:
            told = sentence(error)
            if told not in self.failures:
                self.failures.append(told)
            return otherwise
