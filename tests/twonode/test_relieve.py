# SPDX-License-Identifier: Apache-2.0
"""A host that is short is relieved by nova's live migration of a real server."""

import json

import pytest

from tests.cloud.api import Person, wait_for
from tests.twonode.host import NodeHost
from tests.twonode.moves import DRIVER_S, MOVE_S, Resident, host_of, reported
from tools.bed.stack.layout import Layout
from tools.bed.stack.shell import run
from tools.bed.stack.tenants import credentials

pytestmark = pytest.mark.timeout(3600)


def test_a_host_is_relieved(
    admin: Person, short: NodeHost, residents: dict[str, Resident]
) -> None:
    server = residents[short.name].server
    # all memory but that of one guest is guaranteed, so the plan has one move
    answer = run(
        Layout.of_environment().program("openstack"), "server", "qos", "relieve", short.name,
        "--timeout", str(MOVE_S), "-f", "json", env=credentials("admin"))
    (row,) = json.loads(answer)
    assert (row["From"], row["Result"]) == (short.name, "moved")
    assert host_of(admin, server) == row["To"] != short.name
    records = admin.request("GET", f"/os-migrations?instance_uuid={server}").json()["migrations"]
    assert "completed" in {each["status"] for each in records}
    wait_for(lambda: reported(admin, short.name)["state"] != "short", DRIVER_S, "it is relieved")
