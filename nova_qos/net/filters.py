# SPDX-License-Identifier: Apache-2.0
"""Filters of others on a device's incoming packets that send them elsewhere at once.

Open vSwitch makes such filters with ``hw-offload``. What they redirect meets no rule of nftables,
neither on the device nor on the uplink.
"""

import errno
import struct

from pyroute2.netlink import NLM_F_DUMP
from pyroute2.netlink.rtnl import RTM_GETQDISC, RTM_GETTFILTER

from nova_qos.net.netlink import TCA_KIND, TCA_OPTIONS, ask, attributes

_INGRESS = 0xFFFFFFF2
# where the options of each kind of filter have its actions (linux/pkt_cls.h)
_ACTIONS = {b"flower\0": 3, b"matchall\0": 2, b"u32\0": 7, b"basic\0": 3, b"fw\0": 4}
_ACT_KIND, _ACT_OPTIONS, _MIRRED_PARMS = 1, 2, 2
# tc_mirred: what is done stands behind five numbers that all actions have
_MIRRED = struct.Struct("=20xi")
_EGRESS_REDIRECT = 1


def devices() -> set[int]:
    """Those with a place for filters on incoming packets.

    :raises OSError: the kernel refuses to list them
    """
    return {each.device for each in ask(RTM_GETQDISC, NLM_F_DUMP, 0)
            if each.kind in ("ingress", "clsact")}


def redirects(device: int) -> bool:
    """Whether a filter on the device's incoming packets sends some of them out of another device.

    :raises OSError: the kernel refuses to list them
    """
    try:
        return any(_redirects(each.attributes)
                   for each in ask(RTM_GETTFILTER, NLM_F_DUMP, device, _INGRESS))
    except OSError as error:
        # a kernel that has no filters at all
        if error.errno == errno.EOPNOTSUPP:
            return False
        raise


def _redirects(listed: dict[int, bytes]) -> bool:
    place = _ACTIONS.get(listed.get(TCA_KIND, b""))
    actions = attributes(listed.get(TCA_OPTIONS, b"")).get(place or 0, b"")
    return any(_is_redirect(attributes(each)) for each in attributes(actions).values())


def _is_redirect(action: dict[int, bytes]) -> bool:
    if action.get(_ACT_KIND) != b"mirred\0":
        return False
    parameters = attributes(action.get(_ACT_OPTIONS, b"")).get(_MIRRED_PARMS, bytes(_MIRRED.size))
    return bool(_MIRRED.unpack_from(parameters)[0] == _EGRESS_REDIRECT)
