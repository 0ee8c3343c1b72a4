# SPDX-License-Identifier: Apache-2.0
"""The store on a database in a file; tests/functional/test_policy_database.py has real servers."""

import sqlite3
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from oslo_config import cfg
from sqlalchemy import Connection, make_url

from nova_qos.core import errors
from nova_qos.policies import engine, rows
from nova_qos.policies.engine import Database
from nova_qos.policies.rows import renew
from nova_qos.policies.store import Store
from tests.pace import Stopwatch
from tests.unit.policies.conftest import options_for

SETTINGS = {"memory": "75%", "cpu_priority": 2048, "net_limit": -1}

#: The promise; the fixtures make all else more patient.
WITHIN_S = engine._WITHIN_S


def test_what_was_created_is_in_the_catalog(store: Store) -> None:
    gold = store.create("Gold \N{SNOWMAN}", "the best", SETTINGS, False)
    assert (gold.revision, gold.settings, gold.description) == (1, SETTINGS, "the best")
    assert 1 <= gold.number < 10**15
    found = store.catalog()
    assert found.policies == {gold.number: gold}
    assert (found.database, found.revision) == store.version()
    assert list(found.policies[gold.number].settings) == list(SETTINGS)
    assert (found.projects, found.default, len(found.database)) == ({}, None, 36)


def test_each_change_adds_one_and_others_see_it(store: Store, options: cfg.ConfigOpts) -> None:
    other = Store(options)
    gold = store.create("gold", "", {}, False)
    for change in (
            lambda: store.update(gold.number, {"settings": SETTINGS}, None),
            lambda: store.assign(gold.number, "p1"), lambda: store.unassign(gold.number, "p1"),
            lambda: store.delete(gold.number, 2)):
        before = other.catalog()
        change()
        after = other.catalog()
        assert after.revision == before.revision + 1 == store.version()[1]
        assert after != before
    assert other.catalog().policies == {}


def test_the_catalog_is_kept_until_it_changes(store: Store) -> None:
    store.create("gold", "", {}, False)
    assert store.catalog() is store.catalog()


def test_what_changes_nothing_is_no_change(store: Store) -> None:
    gold = store.create("gold", "", {}, False)
    store.assign(gold.number, "p1")
    before = store.version()
    store.assign(gold.number, "p1")
    assert store.version() == before


@pytest.mark.parametrize("second", ["gold", "GOLD", "Gold"])
def test_a_name_is_taken_regardless_of_case(store: Store, second: str) -> None:
    store.create("gold", "", {}, False)
    before = store.version()
    with pytest.raises(errors.PolicyConflict, match="'gold' already"):
        store.create(second, "", {}, False)
    assert store.version() == before


def test_an_update_changes_what_it_names(store: Store) -> None:
    gold = store.create("gold", "the best", SETTINGS, False)
    changed = store.update(gold.number, {"description": "better"}, 1)
    assert (changed.revision, changed.settings, changed.description) == (2, SETTINGS, "better")
    assert store.update(gold.number, {"settings": {"memory": 512}}, 2).settings == {"memory": 512}
    assert store.catalog().policies[gold.number].revision == 3


@pytest.mark.parametrize("change", [
    lambda store, number: store.update(number, {"description": "x"}, 1),
    lambda store, number: store.delete(number, 1)], ids=["update", "delete"])
def test_a_stale_revision_is_refused(store: Store, change: Callable[[Store, int], Any]) -> None:
    gold = store.create("gold", "", {}, False)
    store.update(gold.number, {"description": "another"}, None)
    with pytest.raises(errors.PolicyChanged, match="revision 2 by now, not 1"):
        change(store, gold.number)
    assert store.catalog().policies[gold.number].description == "another"


@pytest.mark.parametrize("change", [
    lambda store: store.update(5, {}, None), lambda store: store.delete(5, None),
    lambda store: store.assign(5, "p"), lambda store: store.unassign(5, "p")])
def test_what_is_not_there(store: Store, change: Callable[[Store], Any]) -> None:
    before = store.version()
    with pytest.raises(errors.NoSuchPolicy, match="no policy 5"):
        change(store)
    assert store.version() == before


def test_there_is_one_default(store: Store) -> None:
    gold = store.create("gold", "", {}, True)
    assert store.catalog().default == gold.number
    with pytest.raises(errors.PolicyConflict, match="'gold' is the default"):
        store.create("silver", "", {}, True)
    silver = store.create("silver", "", {}, False)
    with pytest.raises(errors.PolicyConflict, match="'gold' is the default"):
        store.update(silver.number, {"is_default": True}, None)
    store.update(silver.number, {"is_default": False}, None)
    assert store.catalog().default == gold.number
    with pytest.raises(errors.PolicyConflict, match="the default policy"):
        store.delete(gold.number, None)
    store.update(gold.number, {"is_default": False}, None)
    store.update(silver.number, {"is_default": True}, None)
    assert store.catalog().default == silver.number


def test_projects(store: Store) -> None:
    gold, silver = (store.create(name, "", {}, False) for name in ("gold", "silver"))
    store.assign(gold.number, "p1")
    store.assign(silver.number, "p1")
    assert store.catalog().projects == {"p1": silver.number}
    with pytest.raises(errors.NoSuchPolicy, match="'gold' is not assigned to project p1"):
        store.unassign(gold.number, "p1")
    for number in range(2, 9):
        store.assign(silver.number, f"p{number}")
    with pytest.raises(errors.PolicyConflict, match="p1, p2, p3, p4, p5 and 3 more"):
        store.delete(silver.number, None)
    store.delete(gold.number, None)


@pytest.mark.parametrize("description", ["a\0b", "\ud800", "\N{SNOWMAN}" * 22000])
def test_descriptions_that_no_database_holds(store: Store, description: str) -> None:
    gold = store.create("gold", "fine \N{FIRST PLACE MEDAL}", {}, False)
    for change in (lambda: store.create("x", description, {}, False),
                   lambda: store.update(gold.number, {"description": description}, None)):
        with pytest.raises(errors.InvalidSetting, match=r"^description: "):
            change()


def test_changes_of_many_threads_are_all_counted(store: Store) -> None:
    gold = store.create("gold", "", {}, False)
    before = store.version()[1]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda each: store.update(gold.number, {"description": str(each)}, None),
                      range(40)))
    assert store.catalog().policies[gold.number].revision == 41
    assert store.version()[1] == before + 40


def test_a_restored_database_gets_a_new_id(store: Store, options: cfg.ConfigOpts) -> None:
    before = store.catalog()
    assert Database(options).change(renew) == store.version()[0] != before.database
    assert store.catalog().database == store.version()[0]


@pytest.mark.parametrize(("connection", "says"), [
    (None, "connection is not set"), ("", "connection is not set"),
    ("nonsense with secret", "no URL"), ("mysql+pymysql://u:secret@h:port/x", "no URL"),
    ("oracle+nothing://u:secret@h/x", "not installed"),
    ("sqlite:////nonexistent/secret/x.db", "does not exist")])
def test_no_database(connection: str | None, says: str) -> None:
    store = Store(options_for(connection))
    for ask in (store.version, store.catalog, lambda: store.create("a", "", {}, False),
                lambda: store.delete(1, None)):
        with pytest.raises(errors.NoDatabase, match=says) as caught:
            ask()
        assert "[nova_qos_database] connection" in caught.value.message
        assert "secret" not in caught.value.message
    assert store.is_configured == bool(connection)


def test_tables_that_were_not_made(options: cfg.ConfigOpts) -> None:
    with pytest.raises(errors.NoDatabase, match="nova-qos-manage db sync"):
        Store(options).catalog()


def test_a_database_that_is_locked_is_away(store: Store, tmp_path: Path) -> None:
    impatient = Store(options_for(f"sqlite:///{tmp_path}/policies.db?timeout=0.1"))
    assert impatient.version() == store.version()
    with sqlite3.connect(tmp_path / "policies.db") as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(errors.DatabaseAway):
            impatient.version()


def test_a_change_that_comes_too_late_is_not_saved(
    store: Store, options: cfg.ConfigOpts, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its caller was told that it may not have been, and may have repeated it since."""
    before, end = store.version(), threading.Event()

    def slow(connection: Connection) -> None:
        rows.take_turn(connection)
        end.wait()

    monkeypatch.setattr(engine, "_WITHIN_S", WITHIN_S)
    with Stopwatch() as watch, pytest.raises(errors.DatabaseAway):
        Database(options).change(slow)
    assert watch.seconds < 2.5
    end.set()
    for thread in threading.enumerate():
        if thread.name == "qos-database":
            thread.join()
    assert store.version() == before


@pytest.mark.parametrize(("url", "option", "value"), [
    ("postgresql+psycopg2://u@h/x", "options",
     "-c statement_timeout=1000 -c lock_timeout=900 -c idle_in_transaction_session_timeout=2000"),
    ("postgresql+psycopg2://u@h/x?options=-c%20search_path%3Dqos", "options", "-c search_path=qos"),
    ("mysql+pymysql://u@h/x?init_command=SET%20x", "init_command", "SET x"),
    ("mysql+mysqlconnector://u@h/x", "init_command", None)])
def test_what_the_url_names_counts(url: str, option: str, value: str | None) -> None:
    assert engine._url(url, patient=False).query.get(option) == value
    assert engine._url(url, patient=True).query.get(option) == make_url(url).query.get(option)
