# SPDX-License-Identifier: Apache-2.0
"""A thousand policies: what clients and agents ask for, and what they are answered."""

import json
from typing import Any
from urllib.parse import urlsplit

import nova.conf
import pytest
from keystoneauth1.session import Session

from nova_qos.api.catalog import catalog
from nova_qos.core.policy import Policy
from nova_qos.policies import rows
from nova_qos.policies.engine import Database
from nova_qos.policies.models import PROJECT
from tests.functional.caller import ADMIN, MEMBER, SERVICE
from tests.functional.cloud import Cloud, Server, eventually
from tests.functional.policies import assign, names, send
from tests.functional.test_shells import alone as alone
from tests.functional.test_shells import keystone as keystone
from tests.functional.test_shells import openstack as openstack
from tests.shells import OpenStack

pytestmark = pytest.mark.usefixtures("policies")
COUNT = 1000
SETTINGS: dict[str, int | str] = {
    "memory": "75%", "cpu_priority": "512/vcpu", "cpu_limit": "80%/vcpu", "io_priority": 300,
    "io_limit": 5000, "net_limit": 50000, "net_priority": 20, "memory_guarantee": "25%"}
NAMES = [f"policy {number:04}" for number in range(COUNT)]
#: An agent's file and answer hold all of them.
_MOST_BYTES = 400_000


@pytest.fixture(autouse=True)
def thousand(policies: None, cloud: Cloud) -> None:
    """Policies of eight settings, each with a project of its own."""
    def add(connection: Any) -> None:
        rows.take_turn(connection)
        for number, name in enumerate(NAMES):
            rows.insert(connection, Policy(number + 1, name, {**SETTINGS, "io_limit": 100 + number},
                                           1, f"the description of {name}"))
            connection.execute(PROJECT.insert().values(project=f"p{number}", policy=number + 1))

    Database(nova.conf.CONF, patient=True).change(add)
    cloud.agents["compute"].manager.policies.refresh(10)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The requests of clients to nova."""
    made: list[str] = []
    request = Session.request

    def counted(self: Session, url: str, method: str, **kwargs: Any) -> Any:
        response = request(self, url, method, **kwargs)
        address = urlsplit(str(response.url))
        if "/v2.1/" in address.path:
            made.append(f"{method} {address.path.partition('/v2.1')[2]}")
        return response

    monkeypatch.setattr(Session, "request", counted)
    return made


def test_a_list_takes_one_request(openstack: OpenStack, asked: list[str]) -> None:
    found = json.loads(openstack.good("policy", "list", "-f", "json").out)
    assert [each["Name"] for each in found] == NAMES
    assert {each["Settings"]["io_limit"] for each in found} == set(range(100, 100 + COUNT))
    assert asked == ["GET /os-qos-policies"]
    assert len(openstack.good("policy", "list").rows()) == COUNT + 1


def test_one_of_them_is_found_by_its_name(openstack: OpenStack, asked: list[str]) -> None:
    """Whatever their number: no command lists all to find one."""
    shown = json.loads(openstack.good("policy", "show", "POLICY 0777", "-f", "json").out)
    assert (shown["name"], shown["projects"]) == ("policy 0777", ["p777"])
    assert asked == ["GET /os-qos-policies", "GET /os-qos-policies/778"]
    answer = send("GET", "?name=policy%200777")
    assert len(answer.body["policies"]) == 1
    del asked[:]
    openstack.good("policy", "set", "--no-wait", "--io-limit", "700", "policy 0777")
    assert asked == ["GET /os-qos-policies", "GET /os-qos-policies/778", "PUT /os-qos-policies/778"]


def test_a_server_gets_one_by_its_name(
    openstack: OpenStack, asked: list[str], server: Server
) -> None:
    openstack.good("set", "--policy", "policy 0500", server.uuid)
    assert server.domain.held()["io_limit"] == 600
    assert [each for each in asked if "os-qos" in each or "action" in each] == [
        "GET /os-qos-policies", f"POST /servers/{server.uuid}/action"]
    assert assign(server, None).status == 200


def test_who_may_see_few_of_them_is_sent_no_more() -> None:
    assert names(MEMBER) == []
    send("PUT", f"/5/projects/{MEMBER.project}")
    assert names(MEMBER) == ["policy 0004"]
    assert len(names(ADMIN)) == COUNT


def test_agents_get_them_once(cloud: Cloud, server: Server) -> None:
    answer = send("GET", "/for-agents", caller=SERVICE)
    assert len(answer.body["policies"]) == COUNT
    assert len(json.dumps(answer.body)) < _MOST_BYTES
    again = send("GET", "/for-agents", caller=SERVICE, If_None_Match=answer.headers["ETag"])
    assert (again.status, again.body) == (304, None)
    assert assign(server, "policy 0999").status == 200
    before = catalog().revision
    send("PUT", "/1000", {"policy": {"settings": {**SETTINGS, "io_limit": 4321}}})
    eventually(lambda: server.domain.held()["io_limit"] == 4321)
    assert catalog().revision == before + 1
    assert assign(server, None).status == 200


@pytest.mark.parametrize("change", [{"name": "Policy 0999"}, {"is_default": True}])
def test_one_more(change: dict[str, Any]) -> None:
    """A name in use is found among them, and a new one is one of them."""
    answer = send("POST", body={"policy": {"name": "one more", "settings": SETTINGS, **change}})
    assert answer.status == (409 if "name" in change else 201), answer
    assert len(names(ADMIN)) == COUNT + (answer.status == 201)
