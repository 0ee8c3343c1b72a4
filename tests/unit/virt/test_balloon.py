# SPDX-License-Identifier: Apache-2.0
"""What a guest reports of its balloon is not trusted."""

import pytest

from nova_qos.virt.balloon import Report


@pytest.mark.parametrize(("reported", "taken"), [
    (300 * 1024, 300 * 1024), (512 * 1024, 512 * 1024), (513 * 1024, 512 * 1024),
    # as QEMU tells it where the balloon has 2**32 - 1 pages
    ((2**64 - 2**44) >> 10, 512 * 1024), (-(2**34), 0)])
def test_no_guest_has_more_memory_than_its_domain(reported: int, taken: int) -> None:
    assert Report({"actual": reported}, most_kib=512 * 1024).actual_kib == taken
