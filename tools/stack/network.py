# SPDX-License-Identifier: Apache-2.0
"""The machine's side of the cloud's network.

guest - tap - qbr (Linux bridge) - veth - br-int - br-ex (userspace datapath) - veth - qosbrx (Linux
bridge) - qosuplink | qosext in the namespace ``qos-outside``, which plays the world outside.
"""

from stack.layout import Layout
from stack.shell import run, try_run

OUTSIDE = "qos-outside"
OUTSIDE_ADDRESS, CIDR = "10.77.0.1", "10.77.0.0/24"
UPLINK = "qosuplink"
_BRIDGE, _OUTER = "qosbrx", "qosext"
_TO_OVS, _TO_BRIDGE = "qosovs", "qosovs-br"
#: Prefixes of what neutron and nova make and may leave behind when they are killed.
_LEFT_BEHIND = ("qbr", "qvo", "qvb", "tap")


def up(layout: Layout) -> None:
    """Make the devices and connect them to Open vSwitch."""
    run("ip", "netns", "add", OUTSIDE)
    run("ip", "link", "add", _TO_OVS, "type", "veth", "peer", "name", _TO_BRIDGE)
    run("ip", "link", "add", UPLINK, "type", "veth", "peer", "name", _OUTER, "netns", OUTSIDE)
    run("ip", "link", "add", _BRIDGE, "type", "bridge")
    for device in (_TO_BRIDGE, UPLINK):
        run("ip", "link", "set", device, "master", _BRIDGE)
    for device in (_TO_OVS, _TO_BRIDGE, UPLINK, _BRIDGE):
        run("ip", "link", "set", device, "up")
    for device in (_TO_OVS, _TO_BRIDGE, UPLINK):
        _without_offloads(device)
    _inside("ip", "link", "set", "lo", "up")
    _inside("ip", "address", "add", f"{OUTSIDE_ADDRESS}/24", "dev", _OUTER)
    _inside("ip", "link", "set", _OUTER, "up")
    _inside("ethtool", "-K", _OUTER, "tx", "off", "gso", "off", "tso", "off", "gro", "off")
    vsctl = ("ovs-vsctl", f"--db=unix:{layout.run}/db.sock")
    run(*vsctl, "--may-exist", "add-br", "br-ex", "--", "set", "bridge", "br-ex",
        "datapath_type=netdev")
    run(*vsctl, "--may-exist", "add-port", "br-ex", _TO_OVS)


def down() -> None:
    """Take away every device and namespace of the cloud, also those of killed services."""
    names = run("ip", "netns", "list").split("\n")
    for name in (line.split()[0] for line in names if line.strip()):
        if name == OUTSIDE or name.startswith("qdhcp-"):
            try_run("ip", "netns", "delete", name)
    for device in _devices():
        ours = device in (_TO_OVS, UPLINK, _BRIDGE, "br-int", "br-ex", "ovs-netdev")
        if ours or (device.startswith(_LEFT_BEHIND) and len(device) == 14):
            try_run("ip", "link", "delete", device)


def _devices() -> list[str]:
    lines = run("ip", "-o", "link", "show").splitlines()
    return [line.split(": ")[1].split("@")[0] for line in lines]


def _without_offloads(device: str) -> None:
    # the userspace datapath finishes no offloaded checksums
    run("ethtool", "-K", device, "tx", "off", "gso", "off", "tso", "off", "gro", "off")


def _inside(*command: str) -> None:
    run("ip", "netns", "exec", OUTSIDE, *command)
