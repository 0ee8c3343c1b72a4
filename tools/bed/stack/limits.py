# SPDX-License-Identifier: Apache-2.0
"""Guarantees and limits of a server, as virsh, tc and nft show them on the demo's host."""

import re
import socket
import subprocess

from tools.bed.observer import Observer
from tools.bed.stack.host import uplink
from tools.bed.uplink import Class, Uplink

#: The device whose classes divide what servers receive.
RECEIVER = "nova-qos-in"
receiver = Uplink(RECEIVER)


def outbound_class(host: Observer, server: str) -> Class | None:
    """The server's class on the uplink; None while it has none."""
    _tap, mac = host.interface(server)
    name = uplink.class_of(mac) if uplink.has_table() else None
    return uplink.classes().get(name) if name else None


def inbound_class(host: Observer, server: str) -> Class | None:
    """The class that packets to the server's tap are forwarded to; None while they are not."""
    name = inbound_class_name(host, server)
    return receiver.classes().get(name) if name and has_receiver() else None


def inbound_class_name(host: Observer, server: str) -> str | None:
    """As nft shows it."""
    tap, _mac = host.interface(server)
    listed = subprocess.run(
        ["nft", "list", "table", "netdev", "nova_qos_in"], capture_output=True, text=True)
    found = re.search(
        rf'hook egress device "{tap}"[^}}]*meta priority set (\S+) fwd to "{RECEIVER}"',
        listed.stdout)
    return found[1] if found else None


def has_receiver() -> bool:
    """Whether the device is there."""
    return RECEIVER in dict(socket.if_nameindex()).values()
