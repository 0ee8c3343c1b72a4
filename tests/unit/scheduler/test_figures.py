# SPDX-License-Identifier: Apache-2.0
"""What nova's scheduler fetches of hosts, and what it makes of each answer."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from oslo_config import cfg

from nova_qos import conf
from nova_qos.core import errors
from nova_qos.core.policy import Catalog, Policy
from nova_qos.scheduler.figures import Fetch, fits
from tests.unit.agent.web import Answer, Web, serving
from tests.unit.clients import hosts

CATALOG = Catalog("db", 7, {5: Policy(5, "gold", {"memory_guarantee": "75%"}, 2)}, {}, 5)
INTERVAL_S = 30
PATHS = ["/v2.1/os-qos/hosts", "/v2.1/os-qos-policies/for-agents"]


@pytest.fixture
def web() -> Iterator[Web]:
    with serving() as web:
        yield web


@pytest.fixture
def fetch(web: Web, tmp_path: Path) -> Fetch:
    """By a nova.conf as the scheduler reads it."""
    file = tmp_path / "nova.conf"
    file.write_text(
        f"[nova_qos]\nscheduler_interval = {INTERVAL_S}\n"
        f"[service_user]\nauth_type = password\nauth_url = {web.url}/v3\nusername = nova\n"
        "password = secret\nproject_name = service\nuser_domain_name = Default\n"
        "project_domain_name = Default\n")
    options = cfg.ConfigOpts()
    options(["--config-file", str(file)])
    conf.register(options)
    return Fetch(options)


def told(*states: dict[str, Any]) -> Answer:
    return Answer(200, json.dumps({"hosts": states}).encode())


def test_hosts_and_policies_are_fetched_with_the_credentials_of_agents(
    web: Web, fetch: Fetch
) -> None:
    web.answers = [told(hosts.short("one"), hosts.away("two")), Answer.of(CATALOG)]
    known = fetch()
    assert [path for path, _ in web.requests] == PATHS
    assert web.requests[0][1]["X-Auth-Token"] == "token-1"
    assert set(web.users) == {"nova"}
    assert known.catalog == CATALOG
    one = known.hosts["one"]
    assert one.memory.guaranteed == 1000
    # of 9,000 MiB
    assert fits(one, {"memory": 8000})
    assert not fits(one, {"memory": 8001})
    # nobody has told of it, so nothing is known to fit
    assert known.hosts["two"].memory.capacity is None


def test_each_time_all_is_asked_anew(web: Web, fetch: Fetch) -> None:
    web.answers = [told(hosts.short()), Answer.of(CATALOG), told(), Answer.of(CATALOG)]
    assert set(fetch().hosts) == {"one"}
    again = fetch()
    assert (dict(again.hosts), again.catalog) == ({}, CATALOG)
    assert [path for path, _ in web.requests] == PATHS * 2


def test_what_an_agent_told_long_ago_does_not_count(web: Web, fetch: Fetch) -> None:
    names = {"now": 0, "lately": 5 * INTERVAL_S, "long ago": 5 * INTERVAL_S + 1}
    web.answers = [told(*({**hosts.short(name), "age_s": age} for name, age in names.items())),
                   Answer.of(CATALOG)]
    assert set(fetch().hosts) == {"now", "lately"}


@pytest.mark.parametrize("status", [404, 501])
def test_a_cloud_without_named_policies(web: Web, fetch: Fetch, status: int) -> None:
    web.answers = [told(hosts.short()), Answer.fault(status, "there are none")]
    known = fetch()
    assert set(known.hosts) == {"one"}
    assert known.catalog == Catalog()


@pytest.mark.parametrize(("answers", "said"), [
    ([Answer.fault(403, "Policy doesn't allow it")], "answered 403: Policy doesn't allow it"),
    ([Answer.fault(404, "The resource could not be found.")], "answered 404: The resource"),
    ([Answer(503, b"<html>")], "answered 503"),
    ([Answer(200, b"<html>")], "with no list of hosts"),
    ([Answer(200, b'{"hosts": {"one": 1}}')], "with no list of hosts"),
    ([Answer(200, b'{"hosts": [{"agent": "up"}]}')], "with no list of hosts"),
    # guarantees of flavors would be taken for none
    ([told(hosts.short()), Answer.fault(503, "away")], "503: away")])
def test_what_is_no_answer(
    web: Web, fetch: Fetch, answers: list[Answer], said: str
) -> None:
    web.answers = answers
    with pytest.raises(errors.Unreachable, match=said):
        fetch()


def test_nobody_answers(web: Web, fetch: Fetch) -> None:
    web.endpoints = []
    with pytest.raises(errors.Unreachable, match="service_user"):
        fetch()
