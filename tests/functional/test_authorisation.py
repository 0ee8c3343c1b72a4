# SPDX-License-Identifier: Apache-2.0
"""Who may do what: every action and list of ours, by everybody whom nova tells apart.

The same matrix stands in the documentation for operators.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from nova_qos.api.catalog import store
from nova_qos.resources import BALLOON, GET_ALL, HOSTS_PATH, LIST_PATH, SET_ALL, TABLE
from tests.functional.caller import ADMIN, MEMBER, READER, SERVICE, STRANGER, Answer, Caller
from tests.functional.cloud import Server
from tests.functional.policies import create, send

PAGE = Path(__file__).parents[2] / "doc/source/admin/security.rst"
CALLERS = {
    "no role": Caller("nobody", ("other",)),
    "reader": READER,
    "member": MEMBER,
    "manager": Caller("manager", ("reader", "member", "manager")),
    "admin": ADMIN,
    "stranger": STRANGER.using(roles=("reader", "member", "manager")),
    "unscoped": Caller("nobody", ("reader", "member", "manager"), project=""),
    "service": SERVICE,
}
#: By caller, in the order above.
GET = (403, 200, 200, 200, 200, 404, 403, 404)
SET = (403, 403, 403, 403, 200, 404, 403, 404)
LIST = (403, 200, 200, 200, 200, 200, 403, 403)
LIST_HOST = (403, 403, 403, 403, 200, 403, 403, 403)
#: A policy that the callers' project has.
GET_POLICY = (403, 200, 200, 200, 200, 404, 403, 403)
AGENTS = (403, 403, 403, 403, 200, 403, 403, 200)
WORDS = {200: "yes", 403: "no", 404: "unknown"}
_SETTINGS: dict[str, object] = {row.name: row.value.minimum for row in TABLE.values()}
EVERYTHING = _SETTINGS | {"force": True}


@dataclass(frozen=True)
class Request:
    """One thing that can be asked for; of a server where there is a body. ``many``: by the request
    for many servers."""

    name: str
    statuses: tuple[int, ...]
    body: dict[str, object] | None = None
    path: str = LIST_PATH
    many: bool = False

    def send(self, caller: Caller, server: Server) -> Answer:
        """Ask for it."""
        if self.many:
            change = {"server": server.uuid, "settings": self.body}
            answer = caller.request("POST", self.path, json.dumps(
                {"changes": [change], "force": True}))
            return _of_one(answer) if answer.status == 200 else answer
        if self.body is None:
            return caller.request("GET", self.path)
        return caller.send(server, json.dumps(self.body))


def _of_one(answer: Answer) -> Answer:
    """What a request for many servers answers of its only one."""
    (result,) = answer.body["results"]
    fault = {"fault": {"code": result["code"], **result["error"]}} if "error" in result else {}
    return Answer(result["code"], fault or result["qos"])


def _requests() -> list[Request]:
    made = []
    for row in TABLE.values():
        value: dict[str, object] = {row.names.key: row.value.minimum}
        value |= {"force": True} if row.forceable else {}
        made += [Request(row.names.get_action, GET, {row.names.get_action: None}),
                 Request(row.names.set_action, SET, {row.names.set_action: value})]
    return [
        *made,
        Request(GET_ALL, GET, {GET_ALL: None}),
        Request(SET_ALL, SET, {SET_ALL: EVERYTHING}),
        Request(BALLOON, GET, {BALLOON: None}),
        Request(f"POST {LIST_PATH}", SET, _SETTINGS, many=True),
        Request(f"GET {LIST_PATH}", LIST),
        Request(f"GET {LIST_PATH}?host=", LIST_HOST, path=f"{LIST_PATH}?host=compute"),
        Request(f"GET {HOSTS_PATH}", LIST_HOST, path=f"{HOSTS_PATH}?host=compute"),
    ]


REQUESTS = _requests()


@dataclass(frozen=True)
class PolicyRequest:
    """One that concerns named policies; ``{id}`` in its path stands for the id of one, and
    ``{project}`` for that of a project."""

    method: str
    path: str
    statuses: tuple[int, ...]
    body: dict[str, object] | None = None

    @property
    def name(self) -> str:
        """As the page has it, in lines that are not too long."""
        path = self.path.removeprefix("/").replace("{id}/projects/{project}", ".../projects/{id}")
        return f"{self.method} {path}".strip()

    def send(self, caller: Caller, policy: str) -> Answer:
        """Ask for it."""
        project = "old" if self.method == "DELETE" else "new"
        path = self.path.replace("{id}", policy).replace("{project}", project)
        return send(self.method, path, self.body, caller)


POLICY_REQUESTS = [
    PolicyRequest("GET", "", LIST),
    PolicyRequest("GET", "/{id}", GET_POLICY),
    PolicyRequest("GET", "/for-agents", AGENTS),
    PolicyRequest("POST", "", LIST_HOST, {"policy": {"name": "new", "settings": {}}}),
    PolicyRequest("PUT", "/{id}", LIST_HOST, {"policy": {"description": "new"}}),
    PolicyRequest("DELETE", "/{id}", LIST_HOST),
    PolicyRequest("PUT", "/{id}/projects/{project}", LIST_HOST),
    PolicyRequest("DELETE", "/{id}/projects/{project}", LIST_HOST),
]


@pytest.mark.parametrize("request_", REQUESTS, ids=lambda request: request.name)
@pytest.mark.parametrize("who", CALLERS)
def test_who_may_do_what(server: Server, who: str, request_: Request) -> None:
    expected = request_.statuses[list(CALLERS).index(who)]
    answer = request_.send(CALLERS[who], server)
    assert answer.status == expected, answer
    if answer.status == 403:
        assert "os_compute_api:os-qos:" in answer.message
    if answer.status != 200:
        assert (server.saved(), server.domain.writes) == ({}, [])


@pytest.mark.usefixtures("policies")
@pytest.mark.parametrize("request_", POLICY_REQUESTS, ids=lambda request: request.name)
@pytest.mark.parametrize("who", CALLERS)
def test_who_may_do_what_with_policies(who: str, request_: PolicyRequest) -> None:
    policy = create()
    if request_.method != "DELETE" or "projects" in request_.path:
        store().assign(int(policy), MEMBER.project)
        store().assign(int(policy), "old")
    before = store().version()
    expected = request_.statuses[list(CALLERS).index(who)]
    answer = request_.send(CALLERS[who], policy)
    assert (200 if answer.status in (201, 204) else answer.status) == expected, answer
    if answer.status == 403:
        assert "os_compute_api:os-qos:policies:" in answer.message
    is_changed = expected == 200 and request_.method != "GET"
    assert (store().version() != before) == is_changed


#: By name, the project that has the policy; None: everybody, as the default, or nobody.
NAMED = {"everybodys": None, "ours": MEMBER.project, "theirs": STRANGER.project, "nobodys": None}
#: The names that a caller may read; others none.
SEEN = {"reader": {"everybodys", "ours"}, "member": {"everybodys", "ours"},
        "manager": {"everybodys", "ours"}, "admin": set(NAMED),
        "stranger": {"everybodys", "theirs"},
        # whoever logs in as an agent sees what agents get
        "service": set(NAMED)}


def all_answers(caller: Caller, server: Server, ids: dict[str, str]) -> str:
    """The text of what the caller is answered to every request of the matrix, each also with the
    name or id of every policy."""
    server_requests = [each for each in REQUESTS if each.body is not None]
    answers = [each.send(caller, server) for each in server_requests]
    answers += [caller.request("GET", f"{path}{query}") for path in (LIST_PATH, HOSTS_PATH)
                for query in ("", "?host=compute")]
    answers += [send("GET", caller=caller), send("GET", "/for-agents", caller=caller)]
    for name, policy in ids.items():
        answers += [send("GET", f"?name={name}", caller=caller),
                    *(each.send(caller, policy) for each in POLICY_REQUESTS if "{id}" in each.path),
                    *_set_to(caller, server, name), *_set_to(caller, server, policy)]
    return json.dumps([each.body for each in answers])


def _set_to(caller: Caller, server: Server, policy: str) -> list[Answer]:
    settings = {"policy": policy}
    return [caller.act(server, SET_ALL, settings), caller.request("POST", LIST_PATH, json.dumps(
        {"changes": [{"server": server.uuid, "settings": settings}]}))]


@pytest.mark.usefixtures("policies")
@pytest.mark.parametrize("who", [each for each in CALLERS if each != "admin"])
def test_nobody_reads_the_names_of_others_policies(server: Server, who: str) -> None:
    ids = {name: create(name, settings={"io_priority": 300 + number},
                        is_default=name == "everybodys") for number, name in enumerate(NAMED)}
    for name, project in NAMED.items():
        if project is not None:
            store().assign(int(ids[name]), project)
    told, before = all_answers(CALLERS[who], server, ids), store().version()
    assert {name for name in NAMED if f'"{name}"' in told or f"policy {name}" in told} == (
        SEEN.get(who, set()))
    assert store().version() == before
    # nor whether there is one of that name
    for policy in ("nobodys", ids["nobodys"]):
        assert _set_to(CALLERS[who], server, policy) == _set_to(CALLERS[who], server, "no such")


@pytest.mark.usefixtures("policies")
def test_the_policy_of_a_server_is_named_to_its_project(server: Server) -> None:
    """It is one that applies to them, though they cannot look at the policy itself."""
    policy = create("lent", settings={"io_priority": 700})
    assert ADMIN.act(server, SET_ALL, {"policy": "lent"}).status == 200
    for caller in READER, MEMBER:
        assert caller.act(server, GET_ALL).body["io_priority"]["source"] == "policy lent"
        assert send("GET", f"/{policy}", caller=caller).status == 404
    assert ADMIN.act(server, SET_ALL, {"policy": None}).status == 200


def test_another_project_lists_its_own_alone(server: Server) -> None:
    answer = CALLERS["stranger"].request("GET", LIST_PATH)
    assert answer.body["servers"] == []


def test_an_administrator_without_a_project(server: Server) -> None:
    """One server or a host is named by the request; a list of servers needs a project."""
    admin = ADMIN.using(project="")
    assert admin.act(server, GET_ALL).status == 200
    for path in (LIST_PATH, HOSTS_PATH):
        assert admin.request("GET", f"{path}?host=compute").status == 200
    answer = admin.request("GET", LIST_PATH)
    assert (answer.status, "os_compute_api:os-qos:list" in answer.message) == (403, True)


def test_without_a_project_nobody_learns_which_servers_there_are(server: Server) -> None:
    answer = CALLERS["unscoped"].request(
        "POST", "/servers/00000000-0000-0000-0000-000000000000/action", '{"get-qos": null}')
    assert answer.status == 403


@pytest.mark.parametrize("who", ["no role", "reader", "member", "manager", "unscoped"])
def test_whether_there_is_such_a_host_is_not_told(server: Server, who: str) -> None:
    for path in (LIST_PATH, HOSTS_PATH):
        assert CALLERS[who].request("GET", f"{path}?host=nowhere").status == 403


@pytest.mark.parametrize(("who", "hosts"), [
    ("reader", {None}), ("member", {None}), ("manager", {None}), ("admin", {"compute"})])
def test_hosts_are_named_to_administrators_alone(
    server: Server, who: str, hosts: set[str | None]
) -> None:
    listed = CALLERS[who].request("GET", LIST_PATH).body["servers"]
    assert {each["host"] for each in listed if each["id"] == server.uuid} == hosts


def table(requests: Sequence[Request | PolicyRequest]) -> str:
    """A matrix as the page is to show it."""
    head = ["request", *CALLERS]
    rows = [[f"``{each.name}``", *(WORDS[status] for status in each.statuses)]
            for each in requests]
    widths = [max(len(row[column]) for row in [head, *rows]) for column in range(len(head))]
    line = "  ".join("=" * width for width in widths)
    cells = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
             for row in [head, *rows]]
    return "\n".join([line, cells[0], line, *cells[1:], line])


@pytest.mark.parametrize("requests", [REQUESTS, POLICY_REQUESTS], ids=["servers", "policies"])
def test_the_matrix_is_documented(requests: Sequence[Request | PolicyRequest]) -> None:
    wanted = table(requests)
    assert wanted in PAGE.read_text(), f"{PAGE} is to have this table:\n{wanted}"
