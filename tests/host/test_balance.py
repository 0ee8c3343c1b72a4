# SPDX-License-Identifier: Apache-2.0
"""What balancing does for real guests in a control group that holds too little for all of them,
beside what becomes of them without; and a time in which anything may happen.

``NOVA_QOS_BALANCE_KEPT`` is a directory that gets what was recorded; ``tests/balance/soak.py`` has
what the soak heeds.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.balance import soak
from tests.balance.comparison import compared
from tests.balance.failures import Failures, tense
from tools.bed.balance.machine import on_this_machine
from tools.bed.balance.plays import FULL, REDUCED
from tools.bed.balance.site import Site

IS_REDUCED = os.environ.get("NOVA_QOS_TEST_SIZE") == "reduced"
SIZE = REDUCED if IS_REDUCED else FULL
SOAK_S = soak.seconds(20 if IS_REDUCED else 300)
KEPT = os.environ.get("NOVA_QOS_BALANCE_KEPT")

pytestmark = [pytest.mark.alone, pytest.mark.timeout(int(2 * SOAK_S) + 2400)]


@pytest.fixture(scope="module")
def site(_root: None) -> Iterator[Site]:
    with on_this_machine(SIZE.parts, SIZE.pace) as site:
        yield site
        if KEPT:
            site.keep(Path(KEPT))


@pytest.mark.flaky(reruns=1)
def test_the_host_swaps_less_and_guests_do_more(site: Site) -> None:
    compared(site, SIZE)


@pytest.fixture(scope="class")
def _tense(site: Site) -> Iterator[None]:
    with tense(site, SIZE.available_mib):
        yield


@pytest.mark.usefixtures("_tense")
class TestFailures(Failures):
    pass


def test_nothing_is_lost(site: Site) -> None:
    soak.nothing_is_lost(site, SOAK_S, SIZE.available_mib)
