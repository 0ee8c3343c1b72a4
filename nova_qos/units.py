# SPDX-License-Identifier: Apache-2.0
"""Quantities as people write them and as kernels take them."""

import re
from decimal import Decimal

from nova_qos import errors

KIB_PER_MIB = 1024

#: MiB in one of each unit; "512" and "512M" are the same, as in qemu and libvirt.
_MIB = {"": 1, "M": 1, "MB": 1, "MIB": 1, "G": 1024, "GB": 1024, "GIB": 1024, "T": 1024 * 1024,
        "TB": 1024 * 1024, "TIB": 1024 * 1024}
_SIZE = re.compile(r"(-?\d{1,15}(?:\.\d{1,6})?)\s*([A-Za-z]{0,3})", re.ASCII)


def parse_size_mib(text: str) -> int:
    """The size in MiB that a person wrote: "512", "512M", "1G" or "1.5GiB".

    All units are powers of two. A plain -1 stands for "no limit" and is passed through.

    :raises InvalidSetting: no size, an unknown unit, or not a whole number of MiB
    """
    match = _SIZE.fullmatch(text.strip())
    factor = _MIB.get(match[2].upper()) if match else None
    if match is None or factor is None:
        raise errors.InvalidSetting(
            f"{text!r} is not a size; write MiB or a unit, like 512, 512M, 1G or 1.5GiB")
    mib = Decimal(match[1]) * factor
    if mib % 1:
        raise errors.InvalidSetting(f"{text!r} is not a whole number of MiB")
    return int(mib)


#: What a control group has that nobody touched (cgroup v1 ``cpu.shares``).
DEFAULT_CPU_SHARES = 1024
