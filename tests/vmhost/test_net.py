# SPDX-License-Identifier: Apache-2.0
"""Network priorities where the uplink is a port of Open vSwitch."""

import pytest
from pyroute2 import IPRoute

from nova_qos.core import errors
from nova_qos.net import uplinks
from tests.net.picture import everything, root
from tests.vmhost.overlay import Carrier
from tests.vmhost.sharing import OvsBench, bench, three_sending
from tools.bed.debian import CONTROL
from tools.bed.site import UPLINK

_PRIORITY = 5


@pytest.mark.parametrize("carrier", ["flat", "vlan"])
@pytest.mark.resources("net_priority")
def test_shares_on_a_provider_network(carrier: Carrier) -> None:
    with three_sending(carrier) as made:
        made.check_shares(carrier)
        made.ovs.add_flows_of_ml2()
        made.check_shares(f"{carrier}, set_queue")


@pytest.mark.resources("net_priority")
def test_restart_of_open_vswitch() -> None:
    """It takes a tree that it does not know away, where nobody has told it to keep off."""
    with bench("flat", ["straight"]) as made:
        made.prioritize(0, _PRIORITY)
        made.host.run("systemctl", "restart", "openvswitch-switch")
        assert root(made.host, UPLINK) == "noqueue 0:"
        assert not made.reading(0).holds(_PRIORITY)
        made.tidy()
        assert is_held(made)

        made.ovs.set_qos("linux-noop")
        made.host.run("systemctl", "restart", "openvswitch-switch")
        assert is_held(made)


def test_qos_of_open_vswitch_on_the_uplink() -> None:
    """As OVN and neutron's minimum bandwidth have it made: refused, and left as it is."""
    with bench("flat", ["straight"]) as made:
        made.ovs.set_qos("linux-htb", "other-config:max-rate=5000000")
        check_left_alone(made)
        made.ovs.set_qos("linux-noop")
        made.host.run("tc", "qdisc", "del", "dev", UPLINK, "root")
        made.prioritize(0, _PRIORITY)
        assert is_held(made)
        # and when it comes later
        made.ovs.set_qos("linux-htb", "other-config:max-rate=5000000")
        check_left_alone(made)
        with pytest.raises(errors.HostCannot):
            made.tidy()
        assert "nova_qos" not in made.host.run("nft", "list", "tables")


def test_uplink_below_a_default_route_on_a_bridge() -> None:
    """Of Open vSwitch's ports, what stands for a wire; no veth, no tunnel."""
    with bench("vxlan over br-ex", ["straight"]) as made:
        made.host.ip("link add wire0 type bond")
        try:
            made.ovs.ovs("add-port", "br-ex", "wire0")
            made.host.ip("route add default dev br-ex metric 9999")
            with IPRoute() as ipr:
                assert set(uplinks.of_default_route(ipr)) - {CONTROL} == {"wire0"}
        finally:
            made.host.ip("link del wire0")


def is_held(made: OvsBench) -> bool:
    reading = made.reading(0)
    return reading.holds(_PRIORITY) and reading.effective is True


def check_left_alone(made: OvsBench) -> None:
    before = everything(made.host)
    assert root(made.host, UPLINK) == "htb 1:"
    with pytest.raises(errors.HostCannot, match=f"{UPLINK} is controlled by Open vSwitch"):
        made.prioritize(0, _PRIORITY)
    assert everything(made.host) == before
