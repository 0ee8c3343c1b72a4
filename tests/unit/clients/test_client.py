# SPDX-License-Identifier: Apache-2.0
"""The client for programs, over openstacksdk and over novaclient's session."""

import re
import textwrap
from collections.abc import Iterator
from pathlib import Path

import openstack
import pytest
from keystoneauth1 import adapter, exceptions, session
from keystoneauth1.identity import v3

from nova_qos import sharing
from nova_qos.client import PAGE, Client, Host, Outcome
from nova_qos.core import errors
from nova_qos.core.reading import LEFT_IN_PLACE
from nova_qos.errors import ApiRefused, NotInstalled, UnknownNova
from nova_qos.resources import GET_ALL, SET_ALL, TABLE
from tests.unit.clients.answers import applied, listed, reports, waiting
from tests.unit.clients.recorded import RecordedCloud, fault

PAGE_OF_MANUAL = Path(__file__).parents[3] / "doc/source/user/python.rst"


@pytest.fixture
def cloud() -> Iterator[RecordedCloud]:
    with RecordedCloud("vm1", "vm2", "vm3") as cloud:
        yield cloud


def access(cloud: RecordedCloud) -> dict[str, str]:
    return {"auth_url": f"{cloud.url}/v3", "username": "demo", "password": "x",
            "project_name": "demo", "user_domain_id": "default", "project_domain_id": "default"}


def over_sdk(cloud: RecordedCloud) -> Client:
    return Client(openstack.connect(load_yaml_config=False, load_envvars=False,
                                    **access(cloud)).compute)


def over_session(cloud: RecordedCloud) -> Client:
    plugin = v3.Password(**access(cloud))
    return Client(adapter.Adapter(session.Session(auth=plugin), service_type="compute"))


@pytest.fixture(params=[over_sdk, over_session])
def client(request: pytest.FixtureRequest, cloud: RecordedCloud) -> Client:
    made: Client = request.param(cloud)
    return made


def test_get(client: Client, cloud: RecordedCloud) -> None:
    cloud.answers["vm1", GET_ALL] = (200, reports(cpu_priority=applied(2048)))
    report = client.get(cloud.servers["vm1"])
    assert report.keys() == TABLE.keys()
    assert report["cpu_priority"]["applied"] == 2048
    assert cloud.asked == [("vm1", GET_ALL, None)]


def test_set_and_unset_at_once(client: Client, cloud: RecordedCloud) -> None:
    cloud.answers["vm1", SET_ALL] = (200, reports(cpu_priority=applied(2048)))
    outcome = client.set(cloud.servers["vm1"], cpu_priority=2048, memory=None)
    assert cloud.asked == [("vm1", SET_ALL, {"cpu_priority": 2048, "memory": None})]
    assert (outcome.result, outcome.pending, outcome.failed) == ("applied", (), ())
    client.set(cloud.servers["vm1"], force=True, memory=64)
    assert cloud.asked[-1] == ("vm1", SET_ALL, {"memory": 64, "force": True})


@pytest.mark.parametrize(("part", "result"), [
    (waiting(64), "pending"),
    (waiting(None), "pending"),
    ({"requested": 64, "applied": 100, "state": "pending"}, "pending"),
    ({"requested": 64, "applied": 512, "state": "drifted"}, "pending"),
    ({"requested": 64, "applied": 512, "state": "drifted", "reason": LEFT_IN_PLACE}, "failed"),
    ({"requested": None, "applied": 99, "state": "unset", "reason": LEFT_IN_PLACE}, "failed"),
    ({"requested": None, "applied": 512, "state": "unset", "reason": LEFT_IN_PLACE}, "applied"),
    ({"requested": 64, "applied": 512, "state": "refused"}, "failed"),
    ({"requested": 64, "applied": 512, "state": "deflated"}, "failed"),
    ({"requested": 64, "applied": None, "state": "unsupported"}, "failed"),
    ({"requested": None, "applied": None, "state": "unsupported"}, "applied"),
    ({"requested": None, "applied": 512, "state": "unset"}, "applied"),
    (applied(64), "applied"),
])
def test_the_result_of_a_set(
    part: dict[str, object], result: str, client: Client, cloud: RecordedCloud
) -> None:
    # what was not asked for does not count
    answer = reports(memory=part, io_priority=waiting(500), cpu_priority={
        "requested": 5, "state": "refused"})
    cloud.answers["vm1", SET_ALL] = (202, answer)
    outcome = client.set(cloud.servers["vm1"], memory=64)
    assert outcome.result == result
    assert outcome.pending == (("memory",) if result == "pending" else ())
    assert outcome.failed == (("memory",) if result == "failed" else ())


@pytest.mark.parametrize(("applied", "default", "result"), [
    # cgroup v2 holds the weight 13, which stands for shares 128 to 138 and is read as 133
    (133, 128, "applied"), (133, 138, "applied"), (133, 127, "pending"), (133, 139, "pending"),
    # cgroup v1 is exact, and no weight is read as this
    (128, 128, "applied"), (130, 128, "pending"),
    (1024, 1029, "applied"), (2048, 1024, "pending"), (None, 1024, "pending")])
def test_an_unset_is_done_as_far_as_the_scale_of_the_host_can_tell(
    applied: int | None, default: int, result: str, client: Client, cloud: RecordedCloud
) -> None:
    cloud.answers["vm1", SET_ALL] = (200, reports(
        cpu_priority={"applied": applied, "default": default}))
    assert client.set(cloud.servers["vm1"], cpu_priority=None).result == result


def test_shares_that_a_guarantee_raises_are_not_waited_for(
    client: Client, cloud: RecordedCloud
) -> None:
    cloud.answers["vm1", SET_ALL] = (200, reports(
        cpu_priority={"applied": 3000, "reason": "raised by cpu_guarantee"}))
    assert client.set(cloud.servers["vm1"], cpu_priority=None).result == "applied"


def test_an_exact_scale_is_compared_exactly(client: Client, cloud: RecordedCloud) -> None:
    cloud.answers["vm1", SET_ALL] = (200, reports(
        io_priority={"applied": 133, "default": 128}) | {
            "luck": {**reports()["io_priority"], "applied": 5, "default": 5}})
    outcome = client.set(cloud.servers["vm1"], io_priority=None, luck=None)
    assert (outcome.pending, outcome.failed) == (("io_priority",), ())


def test_any_action(client: Client, cloud: RecordedCloud) -> None:
    cloud.answers["vm1", "set-cpu-priority"] = (200, {"share": 5})
    answer = client.act(cloud.servers["vm1"], "set-cpu-priority", {"share": 5})
    assert answer == {"share": 5}


@pytest.mark.parametrize("number", [0, 1, 2, 3, 4, 5])
def test_all_pages_are_read_one_after_the_other(
    number: int, client: Client, cloud: RecordedCloud
) -> None:
    cloud.listed = [listed(f"id{n}", f"vm{n}", reports()) for n in range(number)]
    assert [server["id"] for server in client.servers()] == [f"id{n}" for n in range(number)]
    assert len(cloud.queries) == number // cloud.page + 1
    assert cloud.queries[0] == {"limit": [str(PAGE)]}
    assert [query.get("marker") for query in cloud.queries[1:]] == [
        [f"id{n - 1}"] for n in range(cloud.page, number + 1, cloud.page)]


def test_a_page_is_asked_for_when_it_is_needed(client: Client, cloud: RecordedCloud) -> None:
    cloud.listed = [listed(f"id{n}", f"vm{n}", reports()) for n in range(4)]
    next(client.servers())
    assert len(cloud.queries) == 1


def test_the_facts_of_a_host(client: Client, cloud: RecordedCloud) -> None:
    cloud.listed = [listed(f"id{n}", f"vm{n}", reports()) for n in range(3)]
    cloud.host = {"name": "compute", "vcpus": 8, "memory_mib": 24012}
    assert client.host("compute") == Host("compute", 8, 24012, cloud.listed)
    assert all(query["host"] == ["compute"] for query in cloud.queries)
    assert len(list(client.servers("compute"))) == 3


def test_an_error_is_the_sentence_of_the_api(client: Client, cloud: RecordedCloud) -> None:
    cloud.answers["vm1", SET_ALL] = fault(409, "the host\nrefused")
    with pytest.raises(ApiRefused) as caught:
        client.set(cloud.servers["vm1"], cpu_priority=5)
    assert (caught.value.message, caught.value.status) == ("the host refused", 409)
    assert str(caught.value) == "the host refused (HTTP 409)"
    assert not isinstance(caught.value, NotInstalled)


@pytest.mark.parametrize("body", ["<html>Log in</html>", [], None])
def test_an_answer_that_is_not_novas(body: object, client: Client, cloud: RecordedCloud) -> None:
    cloud.answers["vm1", GET_ALL] = (200, body)
    with pytest.raises(ApiRefused, match="get-qos: the answer is not nova's"):
        client.get(cloud.servers["vm1"])


def test_an_error_keeps_the_id_of_the_request() -> None:
    assert str(ApiRefused("no", 409, "req-1")) == "no (HTTP 409) (Request-ID: req-1)"


def test_who_is_refused_among_many_has_the_id_of_the_request(
    client: Client, cloud: RecordedCloud
) -> None:
    cloud.answers["vm1", SET_ALL] = (200, reports(cpu_priority=applied(5)))
    cloud.answers["vm2", SET_ALL] = fault(409, "it is locked")
    cloud.many_id = "req-5"
    found = client.set_many({cloud.servers[each]: {"cpu_priority": 5} for each in ("vm1", "vm2")})
    changed, refused = found.values()
    assert isinstance(changed, Outcome)
    assert str(refused) == "it is locked (HTTP 409) (Request-ID: req-5)"


@pytest.mark.parametrize("body", [None, [], {}, "no", {"message": ["x"]}, {"a": {"b": "c"}}])
def test_an_error_without_a_sentence(body: object, client: Client, cloud: RecordedCloud) -> None:
    cloud.answers["vm1", GET_ALL] = (502, body)
    with pytest.raises(ApiRefused) as caught:
        client.get(cloud.servers["vm1"])
    assert caught.value.status == 502
    assert caught.value.message


def test_a_cloud_without_nova_qos(client: Client, cloud: RecordedCloud) -> None:
    with pytest.raises(NotInstalled, match=r"this cloud's nova has no nova-qos: .* get-qos$"):
        client.get(cloud.servers["vm1"])
    with pytest.raises(NotInstalled, match=r"this cloud's nova has no nova-qos: .* /os-qos$"):
        next(client.servers())


def test_nobody_there(client: Client, cloud: RecordedCloud) -> None:
    cloud.answers["vm1", GET_ALL] = (0, None)
    with pytest.raises(exceptions.ConnectFailure):
        client.get(cloud.servers["vm1"])


def test_the_example_of_the_manual(
    cloud: RecordedCloud, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    example, shown = re.findall(
        r"code-block:: (?:python|text)\n\n((?:    .*\n|\n)+)", PAGE_OF_MANUAL.read_text())
    for key, value in access(cloud).items():
        monkeypatch.setenv(f"OS_{key.upper()}", value)
    report = reports(cpu_priority=applied(2048))
    cloud.answers["vm1", SET_ALL] = cloud.answers["vm1", GET_ALL] = (200, report)
    cloud.listed = [listed("id1", "vm1", report), listed("id2", "vm2", reports())]
    exec(compile(textwrap.dedent(example), PAGE_OF_MANUAL.name, "exec"), {})
    assert capsys.readouterr().out.splitlines() == textwrap.dedent(shown).strip().splitlines()
    assert cloud.asked[0] == ("vm1", SET_ALL, {"cpu_priority": 2048, "net_priority": None})


def test_the_documented_names_are_those_of_the_core() -> None:
    assert (ApiRefused, NotInstalled) == (errors.ApiRefused, errors.NotInstalled)
    by_weight = sharing.in_proportion
    assert dict(sharing.RULES) == {
        "cpu_priority": sharing.among_processors, "io_priority": by_weight,
        "net_priority": by_weight, "net_in_priority": by_weight}


def test_a_traceback_says_the_documented_name() -> None:
    assert UnknownNova is errors.UnknownNova
    assert f"{UnknownNova.__module__}.{UnknownNova.__name__}" == "nova_qos.errors.UnknownNova"
