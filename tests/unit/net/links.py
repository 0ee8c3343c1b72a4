# SPDX-License-Identifier: Apache-2.0
"""Devices as pyroute2 decodes the kernel's messages of them."""

from pyroute2.netlink.rtnl.ifinfmsg import ifinfmsg


def link(
    name: str, kind: str | None = None, index: int = 1, **attributes: int | str
) -> ifinfmsg:
    """The message of one device."""
    message = ifinfmsg()
    message["index"] = index
    message["flags"] = 0x8 if name == "lo" else 0
    message["attrs"] = [("IFLA_IFNAME", name)]
    message["attrs"] += [(f"IFLA_{key.upper()}", value) for key, value in attributes.items()]
    if kind is not None:
        information = ifinfmsg.ifinfo()
        information["attrs"] = [("IFLA_INFO_KIND", kind)]
        message["attrs"].append(("IFLA_LINKINFO", information))
    return message
