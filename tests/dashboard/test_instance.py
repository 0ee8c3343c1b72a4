# SPDX-License-Identifier: Apache-2.0
"""The tab on nova's own page of an instance."""

import pytest

from tests.dashboard.double import Double
from tests.dashboard.inside import Browser, text

ADMIN, PROJECT = "/admin/instances/{}/detail?tab=instance_details__qos", (
    "/project/instances/{}/?tab=instance_details__qos")


def test_an_administrator_sees_it_with_a_way_to_the_dialog(
    admin: Browser, cloud: Double
) -> None:
    server = cloud.host.add("web", own={"cpu_priority": 2048})
    page = admin.get(ADMIN.format(server.id))
    assert f"/admin/qos/hosts/compute/set/?server={server.id}" in page
    assert f"https://grafana.example/server?var-server={server.id}" in page
    assert "CPU priority 2048 2048 shares" in text(page)


@pytest.mark.parametrize("user", ["member", "reader"])
def test_others_see_it(user: str, browse, cloud: Double) -> None:
    server = cloud.host.add("web", own={"cpu_priority": 2048})
    page = browse(user).get(PROJECT.format(server.id))
    assert "CPU priority 2048 2048 shares" in text(page)
    assert "/set/" not in page


def test_this_cloud_has_no_nova_qos(admin: Browser, cloud: Double) -> None:
    server = cloud.host.add("web")
    cloud.instead["POST", f"/servers/{server.id}/action"] = (
        400, {"badRequest": {"code": 400, "message": "There is no such action: get-qos"}}, {})
    assert "this cloud's nova has no nova-qos" in text(admin.get(ADMIN.format(server.id)))
