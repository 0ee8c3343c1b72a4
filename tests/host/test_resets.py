# SPDX-License-Identifier: Apache-2.0
"""A guest that is reset, with its memory asked for before its balloon driver is up again."""

import time

from nova import conf as nova_conf
from nova import objects

from nova_qos.agent.apply import apply
from nova_qos.agent.holder import Holder
from nova_qos.agent.standing import Standings
from nova_qos.resources import TABLE
from tests.host.bench import MIB, RealBench, RealServer

_HELD_S, _LOOK_S = 40, 0.5


def test_the_whole_memory_is_seen_in_the_end(bench: RealBench, server: RealServer) -> None:
    domain, whole = bench.host.domain(server.uuid), server.memory_kib
    apply(domain, {"memory": whole - MIB}, 15.0)
    with server.resetting():
        apply(domain, {"memory": whole}, 0.1)
    objects.register_all()
    instance = objects.Instance(
        uuid=server.uuid, system_metadata={TABLE["memory"].stored_as: str(whole // MIB)},
        flavor=objects.Flavor(memory_mb=whole // MIB, vcpus=1, extra_specs={}))
    holder, began = Holder(nova_conf.CONF, Standings()), time.monotonic()
    while holder.converge(instance, domain) is not None:
        assert time.monotonic() < began + _HELD_S, server.statistics()
        time.sleep(_LOOK_S)
    assert server.statistics()["actual"] == whole
    time.sleep(3)
    assert server.statistics()["actual"] == whole
