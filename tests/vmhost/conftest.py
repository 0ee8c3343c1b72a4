# SPDX-License-Identifier: Apache-2.0
"""Tests that have a whole machine to themselves."""

import os

import pytest

from tools.bed.debian import PAYLOAD

pytest.register_assert_rewrite(
    "tests.balance.comparison", "tests.balance.failures", "tests.balance.soak")


@pytest.fixture(scope="session", autouse=True)
def _virtual_host() -> None:
    if not os.path.ismount(PAYLOAD):
        pytest.skip("these tests remake the machine that they run on: let tools/test.sh vmhost "
                    "run them in a virtual one")
