# SPDX-License-Identifier: Apache-2.0
"""nova validates the extra spec by which a flavor names its policy."""

import json

import pytest

from tests.functional.caller import ADMIN
from tests.functional.cloud import Cloud

#: From it on, nova checks extra specs.
CHECKED = ADMIN.using(microversion="2.86")


@pytest.mark.parametrize(("name", "value", "status"), [
    ("qos:policy", "gold", 200), ("qos:policy", "none", 200), ("qos:policy", "göld 7", 200),
    ("qos:policy", "x" * 255, 200), ("qos:policy", "", 400), ("qos:policy", " ", 400),
    ("qos:policy", " gold", 400), ("qos:policy", "gold ", 400), ("qos:policy", "x" * 256, 400),
    ("qos:policies", "gold", 400)])
def test_what_a_flavor_may_name(cloud: Cloud, name: str, value: str, status: int) -> None:
    flavor = ADMIN.request("GET", "/flavors").body["flavors"][0]["id"]
    path = f"/flavors/{flavor}/os-extra_specs"
    answer = CHECKED.request("POST", path, json.dumps({"extra_specs": {name: value}}))
    assert answer.status == status, answer
    if status == 200:
        assert answer.body["extra_specs"][name] == value
        assert ADMIN.request("DELETE", f"{path}/{name}").status == 200
