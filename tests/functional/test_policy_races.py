# SPDX-License-Identifier: Apache-2.0
"""A policy is deleted at the moment at which somebody gets it, on MariaDB: either the deletion is
refused or the assignment, or whoever has a policy that is gone is told so."""

import random
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from nova_qos.api import kept, policy_use
from nova_qos.api.catalog import catalog
from nova_qos.instances import saving
from nova_qos.policies import schema
from nova_qos.policies.engine import Database
from nova_qos.policies.store import Store
from tests.functional.caller import ADMIN, Answer
from tests.functional.cloud import Cloud, Server, eventually
from tests.functional.databases import IS_INSTALLED, Running, mariadb, options_for
from tests.functional.policies import assign, create, edit, held, send
from tests.functional.test_policy_use import flavored as flavored

_ROUNDS, _PROJECT = 8, "abc"
Step = Callable[[], object]


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    if not IS_INSTALLED:
        pytest.skip("needs the packages of tools/bed/test.apt")
    with mariadb(tmp_path_factory.mktemp("mariadb")) as server:
        yield server


@pytest.fixture(autouse=True)
def on_mariadb(
    running: Running, database: Callable[[str | None], None], cloud: Cloud
) -> Iterator[None]:
    running.run("CREATE DATABASE races")
    url = running.url("races")
    Database(options_for(url), patient=True).read(schema.upgrade)
    database(url)
    yield
    database(None)
    for host in ("compute", "second"):
        cloud.agents[host].manager.policies.refresh(10)
    running.run("DROP DATABASE races")


@pytest.fixture
def gold() -> str:
    return create("gold", settings={"io_priority": 700})


@pytest.fixture
def before(monkeypatch: pytest.MonkeyPatch) -> Callable[[Any, str, Step], None]:
    """Has something else happen between two steps of a request: before a function of this name
    begins, once."""
    def before(owner: Any, name: str, step: Step) -> None:
        known, steps = getattr(owner, name), [step]

        def stepped(*args: Any, **kwargs: Any) -> Any:
            if steps:
                steps.pop()()
            return known(*args, **kwargs)

        monkeypatch.setattr(owner, name, stepped)

    return before


def delete(policy: str) -> Answer:
    return send("DELETE", f"/{policy}")


def exists(policy: str) -> bool:
    return send("GET", f"/{policy}").status == 200


def policy_of(server: Server) -> str | None:
    found: str | None = server.instance().system_metadata.get("qos:policy")
    return found


def test_a_project_gets_it_before_it_is_deleted(
    gold: str, before: Callable[[Any, str, Step], None]
) -> None:
    before(Store, "delete", lambda: send("PUT", f"/{gold}/projects/{_PROJECT}"))
    answer = delete(gold)
    assert (answer.status, _PROJECT in answer.message, exists(gold)) == (409, True, True)
    assert catalog().projects == {_PROJECT: int(gold)}


def test_it_is_deleted_before_a_project_gets_it(
    gold: str, before: Callable[[Any, str, Step], None]
) -> None:
    done: list[Answer] = []
    before(Store, "assign", lambda: done.append(delete(gold)))
    answer = send("PUT", f"/{gold}/projects/{_PROJECT}")
    assert (done[0].status, answer.status, exists(gold)) == (204, 404, False)
    assert catalog().projects == {}


def test_it_becomes_the_default_before_it_is_deleted(
    gold: str, before: Callable[[Any, str, Step], None]
) -> None:
    before(Store, "delete", lambda: edit(gold, is_default=True))
    answer = delete(gold)
    assert (answer.status, "default policy" in answer.message) == (409, True)
    assert catalog().default == int(gold)


def test_it_is_deleted_before_it_becomes_the_default(
    gold: str, before: Callable[[Any, str, Step], None]
) -> None:
    before(Store, "update", lambda: delete(gold))
    answer = send("PUT", f"/{gold}", {"policy": {"is_default": True}})
    assert (answer.status, catalog().default) == (404, None)


def test_a_server_gets_it_before_it_is_deleted(
    server: Server, gold: str, before: Callable[[Any, str, Step], None]
) -> None:
    before(Store, "delete", lambda: assign(server, gold))
    answer = delete(gold)
    assert (answer.status, server.uuid in answer.message) == (409, True)
    assert (exists(gold), policy_of(server)) == (True, gold)
    assert held(server)["io_priority"]["source"] == "policy gold"


def test_it_is_deleted_before_a_server_gets_it(
    server: Server, gold: str, before: Callable[[Any, str, Step], None]
) -> None:
    """The request has found it, and the host holds it; it is not saved."""
    done: list[Answer] = []
    before(saving, "save_all", lambda: done.append(delete(gold)))
    answer = assign(server, gold)
    assert (done[0].status, answer.status) == (204, 409)
    assert "deleted just now" in answer.message
    assert policy_of(server) is None
    eventually(lambda: server.domain.held()["io_priority"] == 100)


def test_it_is_deleted_while_the_set_is_being_saved(
    server: Server, gold: str, before: Callable[[Any, str, Step], None]
) -> None:
    """Nothing of it is committed."""
    done: list[Answer] = []
    before(saving, "_write", lambda: done.append(delete(gold)))
    answer = assign(server, gold, io_limit=500)
    assert (done[0].status, answer.status, policy_of(server)) == (204, 409, None)
    assert server.saved() == {}
    eventually(lambda: (server.domain.held()["io_priority"], server.domain.held()["io_limit"]) == (
        100, -1))


def test_a_flavor_gets_it_before_it_is_deleted(
    gold: str, flavored: Callable[[str], Any], before: Callable[[Any, str, Step], None]
) -> None:
    """nova asks nobody whether there is such a policy; the second look finds it."""
    before(policy_use, "require_none_since", lambda: flavored("gold"))
    answer = delete(gold)
    assert (answer.status, "qos-0" in answer.message, exists(gold)) == (409, True, True)


def test_its_name_is_taken_before_it_is_put_back(
    server: Server, gold: str, before: Callable[[Any, str, Step], None]
) -> None:
    other: list[str] = []

    def give() -> None:
        other.append(create("GOLD"))
        # as a set saves it that found the policy before
        instance = server.instance()
        instance.system_metadata["qos:policy"] = gold
        instance.save()

    before(policy_use, "require_none_since", give)
    answer = delete(gold)
    assert answer.status == 409, answer
    assert "policy gold was deleted and could not be put back" in answer.message
    assert server.uuid in answer.message
    assert (exists(gold), exists(other[0])) == (False, True)
    is_told(server, gold)


def test_a_set_that_is_saved_very_late_is_told(
    server: Server, gold: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The cell's database takes longer to commit than a deletion looks for servers."""
    done: list[Answer] = []
    look = kept.require_still_there

    def delete_after(number: int | None) -> None:
        look(number)
        done.append(delete(gold))

    monkeypatch.setattr(kept, "require_still_there", delete_after)
    assert assign(server, gold).status in (200, 202)
    monkeypatch.undo()
    assert (done[0].status, policy_of(server)) == (204, gold)
    is_told(server, gold)
    assert assign(server, None).status == 200
    eventually(lambda: server.domain.held()["io_priority"] == 100)
    assert held(server)["io_priority"]["source"] == "none"


def is_told(server: Server, gone: str) -> None:
    """Whoever looks at the server, alone or in a list, reads that its policy is gone."""
    (listed,) = (each["qos"] for each in ADMIN.request(
        "GET", "/os-qos?host=compute").body["servers"] if each["id"] == server.uuid)
    for row in held(server)["io_priority"], listed["io_priority"]:
        assert (row["state"], row["source"]) == ("pending", "unknown")
        assert f"policy {gone} is assigned, which is not known here" in row["reason"]
        assert "unset --policy" in row["reason"]


@pytest.mark.parametrize("of_server", [True, False])
def test_at_random_moments(server: Server, of_server: bool) -> None:
    """One of the two is refused, whichever comes first."""
    seen = set()
    for number in range(_ROUNDS):
        gold = create(f"gold {number}", settings={"io_priority": 300 + number})

        def give(gold: str = gold) -> Answer:
            time.sleep(random.uniform(0, 0.3))
            return assign(server, gold) if of_server else send(
                "PUT", f"/{gold}/projects/{_PROJECT}")

        def take(gold: str = gold) -> Answer:
            time.sleep(random.uniform(0, 0.1))
            return delete(gold)

        with ThreadPoolExecutor(2) as pool:
            given, taken = pool.submit(give), pool.submit(take)
            outcome = given.result().status < 300, taken.result().status < 300
        has_it = (policy_of(server) == gold if of_server
                  else catalog().projects.get(_PROJECT) == int(gold))
        # never both; both are refused where the deletion was undone for one that gave up
        assert outcome != (True, True)
        assert (has_it, exists(gold)) == (outcome[0], not outcome[1])
        seen.add(outcome)
    print(f"\n  given, deleted: {sorted(seen)}")
