# SPDX-License-Identifier: Apache-2.0
"""What on this host may keep network priorities from having their effect, or disturb others.

For ``--check``: each warning is a sentence; nothing is changed.
"""

import socket
from collections.abc import Iterator

from pyroute2 import IPRoute

from nova_qos.net.marks import Marks

_ALL_BITS = 0xFFFFFFFF


def of_rules(ipr: IPRoute, marks: Marks) -> Iterator[str]:
    """Routing rules that look at bits of ours."""
    for family, name in ((socket.AF_INET, "ip"), (socket.AF_INET6, "ip -6")):
        for rule in ipr.get_rules(family=family):
            mark, mask = rule.get_attr("FRA_FWMARK"), rule.get_attr("FRA_FWMASK")
            if mark is None and mask is None:
                continue
            mask = _ALL_BITS if mask is None else mask
            if common := mask & marks.mask:
                yield (
                    f"'{name} rule' {rule.get_attr('FRA_PRIORITY') or 0} looks at mark "
                    f"{mark or 0:#x}/{mask:#x}: it may route packets of servers by bits that "
                    f"nova-qos sets; choose [nova_qos] mark_mask without {common:#x}")
