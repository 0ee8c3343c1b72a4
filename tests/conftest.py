# SPDX-License-Identifier: Apache-2.0
"""What holds for all tests: the profile of Hypothesis; and where NOVA_QOS_RECORD is set, a run ends
with what passed on what, see ``record.py``."""

import importlib.util
import os
from typing import Any

import pytest

from tests.record import MARK, WANTED, Record, attach

_RECORD = pytest.StashKey[Record]()

# the environments of some tiers are without it
if importlib.util.find_spec("hypothesis"):
    from hypothesis import HealthCheck, settings

    # how long an example takes says how busy the machine is
    settings.register_profile(
        "any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
    settings.load_profile("any machine")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", f"{MARK}(*names): shows that these resources work")
    config.stash[_RECORD] = record = Record()
    if os.environ.get(WANTED):
        config.pluginmanager.register(_Reports(record))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    attach(items)


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    for line in config.stash[_RECORD].lines():
        terminalreporter.write_line(line)


class _Reports:
    """Counts each report once; tests in other processes report to this one, too."""

    def __init__(self, record: Record) -> None:
        self._record = record

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self._record.note(report)
