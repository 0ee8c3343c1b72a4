# SPDX-License-Identifier: Apache-2.0
"""Servers share the uplink by weight when Open vSwitch puts their packets into tunnels.

No address of a guest is seen on the uplink then: only the mark from its tap decides.
"""

import pytest

from tests.vmhost.overlay import Carrier
from tests.vmhost.sharing import three_sending


@pytest.mark.parametrize("carrier", ["vxlan", "geneve", "vxlan over br-ex"])
@pytest.mark.resources("net_priority")
def test_shares_in_a_tunnel(carrier: Carrier) -> None:
    with three_sending(carrier) as made:
        made.check_shares(carrier)
        # from here on every packet's priority is overwritten on its way
        made.ovs.add_flows_of_ml2()
        made.check_shares(f"{carrier}, set_queue")
