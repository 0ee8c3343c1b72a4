# SPDX-License-Identifier: Apache-2.0
"""A guest that is reset, with its memory asked for before its balloon driver is up again."""

import time

from nova_qos.agent import hold
from nova_qos.agent.history import History
from nova_qos.agent.hold import Past
from nova_qos.core.balloon import Limits
from tests.host.bench import MIB, RealBench, RealServer
from tests.knobs import apply

_HELD_S, _LOOK_S = 40, 0.5


def test_the_whole_memory_is_seen_in_the_end(bench: RealBench, server: RealServer) -> None:
    domain, whole = bench.host.domain(server.uuid), server.memory_kib
    apply(domain, {"memory": whole - MIB}, 15.0)
    with server.resetting():
        apply(domain, {"memory": whole}, 0.1)
    targets, past, began = {"memory": whole}, Past(History(), server.uuid), time.monotonic()
    while hold.hold(domain, targets, Limits(0), past)["memory"].reading.unmet is not None:
        assert time.monotonic() < began + _HELD_S, server.statistics()
        time.sleep(_LOOK_S)
    assert server.statistics()["actual"] == whole
    time.sleep(3)
    assert server.statistics()["actual"] == whole
