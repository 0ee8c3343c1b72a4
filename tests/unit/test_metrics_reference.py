# SPDX-License-Identifier: Apache-2.0
"""The page on metrics has all that the code has."""

from tools import metrics_reference


def test_reference_is_up_to_date() -> None:
    assert metrics_reference.PAGE.read_text() == metrics_reference.table(), (
        "run tools/metrics_reference.py")
