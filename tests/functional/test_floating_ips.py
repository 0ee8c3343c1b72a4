# SPDX-License-Identifier: Apache-2.0
"""The floating IPs of a host's servers, as nova keeps them."""

from typing import Any

import pytest
from nova import context, objects
from nova.network import model

from nova_qos.instances.records import Records
from tests.functional.cloud import Server


@pytest.fixture
def kept(server: Server) -> Any:
    """Where nova keeps what it knows of the server's network; as before afterwards."""
    cache = objects.InstanceInfoCache.get_by_instance_uuid(
        context.get_admin_context(), server.uuid)
    before = cache.network_info
    yield cache
    cache.network_info = before
    cache.save()


def interface(fixed: str, *floating: str) -> model.VIF:
    address = model.FixedIP(
        address=fixed, floating_ips=[model.IP(each, type="floating") for each in floating])
    return model.VIF(network=model.Network(subnets=[model.Subnet(ips=[address])]))


def known(server: Server) -> frozenset[str]:
    records = {each.server.uuid: each for each in Records().on_host("compute")}
    return records[server.uuid].floating_ips


def test_those_of_all_interfaces(server: Server, kept: Any) -> None:
    assert known(server) == frozenset()
    kept.network_info = model.NetworkInfo([
        interface("10.0.0.5", "192.0.2.7"), interface("10.0.1.5"),
        interface("10.0.2.5", "192.0.2.8", "192.0.2.9")])
    kept.save()
    assert known(server) == {"192.0.2.7", "192.0.2.8", "192.0.2.9"}
