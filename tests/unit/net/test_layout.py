# SPDX-License-Identifier: Apache-2.0
"""Numbers of classes."""

import pytest

from nova_qos.core import errors
from nova_qos.net import layout


def test_numbers_of_classes_run_out_with_a_word() -> None:
    assert layout.free_minor(range(3, 6), {3, 4}) == 5
    with pytest.raises(errors.HostRefused, match="more than 3 servers"):
        layout.free_minor(range(3, 6), {3, 4, 5})
