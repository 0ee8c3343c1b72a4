# SPDX-License-Identifier: Apache-2.0
"""How an agent asks for the policies, and what it makes of each answer."""

import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import nova.conf.neutron
import nova.conf.placement
import nova.conf.service_token
import pytest
from oslo_config import cfg

from nova_qos import conf
from nova_qos.agent.fetching import Fetcher
from nova_qos.core import errors
from nova_qos.core.policy import Catalog, Policy
from tests.pace import Stopwatch
from tests.unit.agent.web import Answer, Web, serving

CATALOG = Catalog("db", 7, {5: Policy(5, "gold", {"cpu_priority": 2048, "memory": "75%"}, 2)},
                  {"project": 5}, 5)
ETAG = '"db-7"'
PATH = "/v2.1/os-qos-policies/for-agents"
#: All configurations of a process share these objects.
GROUPS = (nova.conf.neutron.neutron_group, nova.conf.placement.placement_group,
          nova.conf.service_token.service_user)
Sections = Mapping[str, Mapping[str, str]]


@pytest.fixture
def web() -> Iterator[Web]:
    with serving() as web:
        web.answers = [Answer.of(CATALOG)]
        yield web


@pytest.fixture(autouse=True)
def _restored(monkeypatch: pytest.MonkeyPatch) -> None:
    for group in GROUPS:
        monkeypatch.setattr(group, "_opts", {})


@pytest.fixture(params=["as nova has them", "without nova"])
def registers(request: pytest.FixtureRequest) -> bool:
    """Whether nova has made the options of its sections known, which it has in the agent."""
    return request.param == "as nova has them"


def account(web: Web, user: str = "nova", **more: str) -> dict[str, str]:
    return {"auth_type": "password", "auth_url": f"{web.url}/v3", "username": user,
            "password": "secret", "project_name": "service", "user_domain_name": "Default",
            "project_domain_name": "Default", **more}


def fetcher(place: Path, sections: Sections, registers: bool = True) -> Fetcher:
    file = place / "nova.conf"
    file.write_text("".join(
        f"[{section}]\n" + "".join(f"{name} = {value}\n" for name, value in values.items())
        for section, values in sections.items()))
    options = cfg.ConfigOpts()
    options(["--config-file", str(file)])
    if registers:
        for group in GROUPS:
            group._opts = {}
        for each in (nova.conf.neutron, nova.conf.placement, nova.conf.service_token):
            each.register_opts(options)
    conf.register(options)
    return Fetcher(options)


def test_fetched_with_a_token_and_then_unchanged(
    web: Web, tmp_path: Path, registers: bool
) -> None:
    fetch = fetcher(tmp_path, {"service_user": account(web)}, registers)
    assert fetch(Catalog(), None) == CATALOG
    assert fetch(CATALOG, ETAG) is None
    assert fetch(CATALOG, '"db-6"') == CATALOG
    assert [path for path, _ in web.requests] == [PATH] * 3
    assert web.requests[0][1]["X-Auth-Token"] == "token-1"
    assert [headers.get("If-None-Match") for _, headers in web.requests] == [None, ETAG, '"db-6"']
    assert web.users == ["nova"]


def test_a_token_that_is_not_valid_any_more(web: Web, tmp_path: Path) -> None:
    web.answers = [Answer(401), Answer.of(CATALOG)]
    assert fetcher(tmp_path, {"service_user": account(web)})(Catalog(), None) == CATALOG
    assert [headers["X-Auth-Token"] for _, headers in web.requests] == ["token-1", "token-2"]


@pytest.mark.parametrize(("answer", "kind", "said"), [
    (Answer.fault(501, "no connection"), errors.NoDatabase, "501: no connection"),
    (Answer(404, b"<html>"), errors.NoDatabase, "404: this API knows no named policies"),
    (Answer(401), errors.Unreachable, "401: keystone and nova"),
    (Answer.fault(403, "rule"), errors.Unreachable, "403: .* role service"),
    (Answer.fault(503, "away"), errors.Unreachable, "503: away"),
    (Answer(500, b"\xff"), errors.Unreachable, "500: Internal Server Error"),
    (Answer(304), errors.Unreachable, "304"),
    (Answer(200, b"<html>"), errors.Unreachable, "no catalog of policies"),
    (Answer(200, b"[]"), errors.Unreachable, "no catalog of policies"),
    (Answer(200, b'{"policies": [{}], "database": 1}'), errors.Unreachable, "no catalog"),
])
def test_what_else_may_be_answered(
    web: Web, tmp_path: Path, answer: Answer, kind: type[errors.QosError], said: str
) -> None:
    web.answers = [answer]
    fetch = fetcher(tmp_path, {"service_user": account(web)})
    with pytest.raises(errors.QosError, match=said) as caught:
        fetch(Catalog(), None)
    assert caught.type is kind
    web.answers = [Answer.of(CATALOG)]
    assert fetch(Catalog(), None) == CATALOG


def test_no_answer_in_time(web: Web, tmp_path: Path) -> None:
    web.answers = [Answer(is_endless=True)]
    fetch = fetcher(tmp_path, {"service_user": account(web, timeout="0.2")})
    with Stopwatch() as watch, pytest.raises(errors.Unreachable, match="timed out"):
        fetch(Catalog(), None)
    assert watch.seconds < 2


def test_nobody_there(tmp_path: Path) -> None:
    with serving() as gone:
        pass
    with pytest.raises(errors.Unreachable, match=r"\[service_user\] of nova.conf: .*connection"):
        fetcher(tmp_path, {"service_user": account(gone)})(Catalog(), None)


@pytest.mark.parametrize(("sections", "user"), [
    (["service_user", "placement", "neutron"], "service_user"),
    (["placement", "neutron"], "placement"),
])
def test_the_first_section_with_credentials(
    web: Web, tmp_path: Path, sections: list[str], user: str, registers: bool
) -> None:
    fetcher(tmp_path, {each: account(web, each) for each in sections}, registers)(Catalog(), None)
    assert web.users == [user]


def test_the_section_that_is_named(web: Web, tmp_path: Path, registers: bool) -> None:
    fetcher(tmp_path, {
        "nova_qos": {"auth_section": "special"}, "special": account(web, "agent"),
        "service_user": account(web)}, registers)(Catalog(), None)
    assert web.users == ["agent"]


def test_a_section_that_names_another(web: Web, tmp_path: Path) -> None:
    fetcher(tmp_path, {
        "service_user": {"auth_section": "special"}, "special": account(web, "agent"),
        "placement": account(web)})(Catalog(), None)
    assert web.users == ["agent"]


@pytest.mark.parametrize(("sections", "named"), [
    ({}, "service_user"), ({"nova_qos": {"auth_section": "special"}}, "special")])
def test_no_credentials(
    tmp_path: Path, registers: bool, sections: Sections, named: str
) -> None:
    with pytest.raises(errors.NoDatabase, match=rf"\[{named}\] of nova.conf has no auth_type"):
        fetcher(tmp_path, sections, registers)(Catalog(), None)


@pytest.mark.parametrize("account", [{"auth_type": "password"}, {"auth_type": "magic"}])
def test_credentials_that_are_none(tmp_path: Path, account: Mapping[str, str]) -> None:
    with pytest.raises(errors.Unreachable, match=r"\[service_user\]"):
        fetcher(tmp_path, {"service_user": account})(Catalog(), None)


@pytest.mark.parametrize(("more", "path"), [
    ({"service_user": "two"}, "/two"), ({"neutron": "two", "placement": "one"}, "/two"),
    ({"placement": "two"}, "/two"), ({}, "/one")])
def test_the_region(
    web: Web, tmp_path: Path, more: Mapping[str, str], path: str, registers: bool
) -> None:
    web.endpoints = [("internal", "one", "/one"), ("internal", "two", "/two")]
    regions = {section: {"region_name": region} for section, region in more.items()}
    fetcher(tmp_path, {**regions, "service_user": {
        **account(web), **regions.get("service_user", {})}}, registers)(Catalog(), None)
    assert web.requests[0][0].startswith(path)


def test_the_interface(web: Web, tmp_path: Path) -> None:
    web.endpoints = [("public", "one", "/public"), ("internal", "one", "/internal")]
    fetcher(tmp_path, {"service_user": account(web)})(Catalog(), None)
    web.endpoints.pop()
    fetcher(tmp_path, {"service_user": account(web)})(Catalog(), None)
    assert [path.split("/")[1] for path, _ in web.requests] == ["internal", "public"]


def test_an_address_that_the_catalog_does_not_have(web: Web, tmp_path: Path) -> None:
    web.endpoints = []
    sections = {"service_user": account(web)}
    with pytest.raises(errors.Unreachable, match="compute"):
        fetcher(tmp_path, sections)(Catalog(), None)
    override = {"nova_qos": {"endpoint_override": f"{web.url}/v2.1"}}
    assert fetcher(tmp_path, {**sections, **override})(Catalog(), None) == CATALOG
    assert [path for path, _ in web.requests] == [PATH]


def test_an_address_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(cfg.Error):
        fetcher(tmp_path, {"nova_qos": {"endpoint_override": "ftp://nova"}})


def certified(place: Path, name: str, *more: object) -> tuple[Path, Path]:
    """A certificate and its key."""
    made = place / f"{name}.pem", place / f"{name}.key"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj",
         f"/CN={name}", *map(str, more), "-out", made[0], "-keyout", made[1]],
        check=True, capture_output=True)
    return made


def test_certificates_are_those_of_the_credentials(tmp_path: Path) -> None:
    made = certified(tmp_path, "nova", "-addext", "subjectAltName=IP:127.0.0.1")
    with serving(made) as web:
        web.answers = [Answer.of(CATALOG)]
        with pytest.raises(errors.Unreachable, match="SSL"):
            fetcher(tmp_path, {"service_user": account(web)})(Catalog(), None)
        for more in ({"cafile": str(made[0])}, {"insecure": "true"}):
            fetch = fetcher(tmp_path, {"service_user": account(web, **more)})
            assert fetch(Catalog(), None) == CATALOG


@pytest.mark.parametrize("usage", ["", "keyCertSign"])
def test_from_python_3_13_on_an_authority_has_to_say_what_it_is_for(
    tmp_path: Path, usage: str
) -> None:
    said = ["-addext", f"keyUsage=critical,{usage}"] if usage else []
    authority, key = certified(
        tmp_path, "authority", "-addext", "basicConstraints=critical,CA:TRUE", *said)
    made = certified(
        tmp_path, "nova", "-CA", authority, "-CAkey", key, "-addext",
        "basicConstraints=critical,CA:FALSE", "-addext", "subjectAltName=IP:127.0.0.1")
    with serving(made) as web:
        web.answers = [Answer.of(CATALOG)]
        fetch = fetcher(tmp_path, {"service_user": account(web, cafile=str(authority))})
        if usage or sys.version_info < (3, 13):
            assert fetch(Catalog(), None) == CATALOG
            return
        with pytest.raises(errors.Unreachable, match="key usage"):
            fetch(Catalog(), None)
