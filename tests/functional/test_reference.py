# SPDX-License-Identifier: Apache-2.0
"""The command reference is what the commands print."""

from tools import reference


def test_reference_is_up_to_date() -> None:
    assert reference.PAGE.read_text() == reference.page(), "run tools/reference.py"
