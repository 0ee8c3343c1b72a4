# SPDX-License-Identifier: Apache-2.0
"""Settings of a server whose host is gone. The last file of its tier: the host does not come back.
"""

import pytest

from tests.cloud.api import Person, wait_for
from tests.twonode.host import NodeHost
from tests.twonode.moves import MOVE_S, Resident, await_held, host_of, set_all, stay

pytestmark = pytest.mark.timeout(1800)


def test_evacuation(
    admin: Person, hosts: list[NodeHost], residents: dict[str, Resident]
) -> None:
    if len(hosts) < 2:
        pytest.skip("one virtual machine only: NOVA_QOS_TEST_SIZE is reduced")
    first, second = hosts[:2]
    server = residents[second.name].server
    stay(admin, server, second)
    set_all(admin, server)
    second.node.machine.stop()
    services = admin.request("GET", f"/os-services?host={second.name}").json()["services"]
    compute = next(each["id"] for each in services if each["binary"] == "nova-compute")
    forced = admin.request("PUT", f"/os-services/{compute}", json={"forced_down": True})
    assert forced.status_code == 200, forced.text
    # newer microversions leave the server stopped
    status, answer = admin.act(server, "evacuate", {"host": first.name}, version="2.90")
    assert status == 200 or status == 202, answer
    wait_for(lambda: host_of(admin, server) == first.name, MOVE_S, "it has moved")
    admin.wait_for_status(server, "ACTIVE", MOVE_S)
    await_held(first, server)
