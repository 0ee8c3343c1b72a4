# SPDX-License-Identifier: Apache-2.0
"""The machine's side of the cloud's network.

guest - tap - qbr (Linux bridge) - veth - qosint - qosex (userspace datapath) - veth - qosbrx (Linux
bridge) - qosuplink | qosext in the namespace ``qos-outside``, which plays the world outside.

A guest of the network behind the router: as above up to qosint - the router's namespace - qosint.
"""

import json
import socket
import subprocess
from collections.abc import Collection
from pathlib import Path

from tools.bed.stack.layout import Layout
from tools.bed.stack.shell import run, try_run

OUTSIDE = "qos-outside"
OUTSIDE_ADDRESS, CIDR = "10.77.0.1", "10.77.0.0/24"
#: Of the network behind the router.
BEHIND_CIDR = "10.78.0.0/24"
UPLINK = "qosuplink"
# The names that Open vSwitch gives to neutron's bridges elsewhere may be taken on this machine.
INTEGRATION, EXTERNAL = "qosint", "qosex"
BRIDGE, _OUTER = "qosbrx", "qosext"
_TO_OVS, _TO_BRIDGE = "qosovs", "qosovs-br"
#: Begins the names of the cards of further compute hosts on the bridge.
NODE = "qosnode"
# What nova and neutron make for a port, each followed by the beginning of the port's id.
_PORT_DEVICES = ("qvo", "qbr", "tap")


def up(layout: Layout) -> None:
    """Make the devices and connect them to Open vSwitch."""
    run("ip", "netns", "add", OUTSIDE)
    run("ip", "link", "add", _TO_OVS, "type", "veth", "peer", "name", _TO_BRIDGE)
    run("ip", "link", "add", UPLINK, "type", "veth", "peer", "name", _OUTER, "netns", OUTSIDE)
    run("ip", "link", "add", BRIDGE, "type", "bridge")
    for device in (_TO_BRIDGE, UPLINK):
        run("ip", "link", "set", device, "master", BRIDGE)
    for device in (_TO_OVS, _TO_BRIDGE, UPLINK, BRIDGE):
        run("ip", "link", "set", device, "up")
    for device in (_TO_OVS, _TO_BRIDGE, UPLINK):
        _without_offloads(device)
    _inside("ip", "link", "set", "lo", "up")
    _inside("ip", "address", "add", f"{OUTSIDE_ADDRESS}/24", "dev", _OUTER)
    _inside("ip", "link", "set", _OUTER, "up")
    _inside("ethtool", "-K", _OUTER, "tx", "off", "gso", "off", "tso", "off", "gro", "off")
    vsctl = ("ovs-vsctl", f"--db=unix:{layout.run}/db.sock")
    run(*vsctl, "--may-exist", "add-br", EXTERNAL, "--", "set", "bridge", EXTERNAL,
        "datapath_type=netdev")
    run(*vsctl, "--may-exist", "add-port", EXTERNAL, _TO_OVS)


def down(layout: Layout) -> None:
    """Take away every device and namespace of the cloud, also those of killed services."""
    ours = _ports(layout)
    _forget_settings(ours)
    networks = [path.name for path in (layout.state / "lib" / "dhcp").glob("*-*")]
    routers = [path.name for path in routers_directory(layout).glob("*-*")]
    for name in (OUTSIDE, *(f"qdhcp-{network}" for network in networks),
                 *(f"qrouter-{router}" for router in routers)):
        if Path("/run/netns", name).exists():
            run("ip", "netns", "delete", name)
    ports = [prefix + port for port in ours for prefix in _PORT_DEVICES]
    present = {name for _, name in socket.if_nameindex()}
    nodes = [name for name in present if name.startswith(NODE)]
    for device in (*nodes, *ports, _TO_OVS, UPLINK, BRIDGE, INTEGRATION, EXTERNAL):
        if device in present:
            try_run("ip", "link", "delete", device)
    # The datapath's own device has a fixed name; this refuses while another switch holds it.
    try_run("ip", "tuntap", "del", "dev", "ovs-netdev", "mode", "tap")


def routers_directory(layout: Layout) -> Path:
    """Has a file for each router of the cloud, named by its id: what is to be taken away."""
    return layout.state / "lib" / "routers"


def _forget_settings(ports: Collection[str]) -> None:
    """Delete the rules of nova-qos' agent, which go with its last server in a living cloud, and the
    device that they lead to."""
    for name, devices in ("nova_qos", [UPLINK]), ("nova_qos_in", ports):
        table = ("netdev", name)
        listed = subprocess.run(["nft", "list", "table", *table], capture_output=True, text=True)
        # another cloud's agent would give its table the same name
        if any(device in listed.stdout for device in devices):
            run("nft", "delete", "table", *table)
            if name == "nova_qos_in":
                try_run("ip", "link", "delete", "nova-qos-in")


def _ports(layout: Layout) -> set[str]:
    """The beginnings of the ids of the ports that Open vSwitch had, from its database's file."""
    query = ["Open_vSwitch",
             {"op": "select", "table": "Interface", "where": [], "columns": ["name"]}]
    database = layout.state / "ovs.db"
    if not database.exists():
        return set()
    (answer,) = json.loads(run("ovsdb-tool", "query", database, json.dumps(query)))
    names = [row["name"] for row in answer["rows"]]
    return {name[3:] for name in names if name.startswith(_PORT_DEVICES)}


def _without_offloads(device: str) -> None:
    # the userspace datapath finishes no offloaded checksums
    run("ethtool", "-K", device, "tx", "off", "gso", "off", "tso", "off", "gro", "off")


def _inside(*command: str) -> None:
    run("ip", "netns", "exec", OUTSIDE, *command)
