# SPDX-License-Identifier: Apache-2.0
"""The store on real servers: MariaDB and PostgreSQL, each started here and gone afterwards."""

import functools
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from oslo_config import cfg

from nova_qos.cmd.manage import run
from nova_qos.core import errors
from nova_qos.policies import rows, schema
from nova_qos.policies.engine import Database
from nova_qos.policies.models import METADATA, VERSION_TABLE
from nova_qos.policies.store import Store
from tests.functional.databases import IS_INSTALLED, KINDS, Running, options_for
from tests.pace import Stopwatch, eventually

SETTINGS = {"memory": "75%", "cpu_priority": 2048}
#: In seconds: what a request may take while the database is away, and a bit.
AT_MOST_S = 2.0 + 0.5


@pytest.fixture(scope="module", params=KINDS)
def running(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
            ) -> Iterator[Running]:
    """Each of the servers."""
    if not IS_INSTALLED:
        pytest.skip("needs the packages of tools/bed/test.apt")
    with KINDS[request.param](tmp_path_factory.mktemp(request.param)) as server:
        yield server


@pytest.fixture
def options(running: Running) -> Iterator[cfg.ConfigOpts]:
    """nova.conf with an empty database."""
    running.run("CREATE DATABASE qos_test")
    made = options_for(running.url("qos_test"))
    yield made
    running.run("DROP DATABASE qos_test" + (
        " WITH (FORCE)" if "postgresql" in running.url("") else ""))


@pytest.fixture
def store(options: cfg.ConfigOpts) -> Store:
    """The store of a database that was synced."""
    Database(options, patient=True).read(schema.upgrade)
    return Store(options)


def test_all_that_can_be_done(store: Store, options: cfg.ConfigOpts) -> None:
    gold = store.create("Göld \N{SNOWMAN}", "\N{FIRST PLACE MEDAL}", SETTINGS, True)
    silver = store.create("gold", "", {}, False)
    assert store.update(gold.number, {"settings": {"memory": 5}}, 1).revision == 2
    store.assign(silver.number, "p1")
    store.assign(gold.number, "p1")
    store.assign(gold.number, "p2")
    store.unassign(gold.number, "p2")
    found = Store(options).catalog()
    assert found == store.catalog()
    assert (found.default, found.projects) == (gold.number, {"p1": gold.number})
    assert found.policies[gold.number].description == "\N{FIRST PLACE MEDAL}"
    assert found.policies[gold.number].settings == {"memory": 5}
    store.delete(silver.number, 1)
    assert store.version() == (found.database, found.revision + 1)


@pytest.mark.parametrize(("first", "second", "both"), [
    ("gold", "GOLD", False), ("Stra\xdfe", "STRASSE", False), ("gold", "g\xf6ld", True),
    ("\u0390" * 255, "\u0390" * 254, True), ("\u0390" * 255, "\u0390" * 255, False)])
def test_what_a_unique_name_is(store: Store, first: str, second: str, both: bool) -> None:
    """The same on every database; the longest folded names are three times as long."""
    store.create(first, "", {}, False)
    if both:
        store.create(second, "", {}, False)
    else:
        with pytest.raises(errors.PolicyConflict):
            store.create(second, "", {}, False)
    assert len(store.catalog().policies) == 1 + both


def test_no_change_is_lost(store: Store, options: cfg.ConfigOpts) -> None:
    """Of many processes, here each a store: all changes are made, and each is counted."""
    gold, stores = store.create("gold", "", {}, False), [Store(options) for _ in range(4)]
    before = store.version()[1]

    def work(number: int) -> None:
        each = stores[number % len(stores)]
        each.update(gold.number, {"description": str(number)}, None)
        each.assign(gold.number, f"p{number}")

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(24)))
    found = store.catalog()
    assert (found.policies[gold.number].revision, found.revision) == (25, before + 48)
    assert len(found.projects) == 24


def test_of_changes_of_one_revision_one_wins(store: Store, options: cfg.ConfigOpts) -> None:
    gold = store.create("gold", "", {}, False)

    def work(number: int) -> bool:
        try:
            Store(options).update(gold.number, {"description": str(number)}, 1)
        except errors.PolicyChanged:
            return False
        return True

    with ThreadPoolExecutor(6) as pool:
        assert sum(pool.map(work, range(6))) == 1
    assert store.catalog().policies[gold.number].revision == 2


@pytest.mark.parametrize("before", schema.revisions())
def test_an_upgrade_from_each_revision(options: cfg.ConfigOpts, before: str) -> None:
    database = Database(options, patient=True)
    database.read(lambda connection: schema.upgrade(connection, before))
    if before != schema.revisions()[-1]:
        with pytest.raises(errors.NoDatabase, match="db sync"):
            Store(options).catalog()
    database.read(schema.upgrade)
    assert Store(options).catalog().revision == 0
    assert database.read(lambda connection: compare_metadata(MigrationContext.configure(
        connection, opts={"version_table": VERSION_TABLE, "compare_type": True}), METADATA)) == []


def test_an_upgrade_that_was_interrupted_is_repeated(
    options: cfg.ConfigOpts, running: Running
) -> None:
    """MariaDB keeps a table though its revision was not noted; a row may be there as well."""
    database = Database(options, patient=True)
    for reached, noted in (("0003", "0001"), ("0004", "0003")):
        database.read(functools.partial(schema.upgrade, to=reached))
        database.change(functools.partial(_note, revision=noted))
    database.read(schema.upgrade)
    assert Store(options).catalog().policies == {}


def _note(connection: sa.Connection, revision: str) -> None:
    connection.execute(sa.text(f"UPDATE {VERSION_TABLE} SET version_num = '{revision}'"))


def test_tables_hold_every_character_whatever_the_database_has(store: Store, running: Running,
                                                               options: cfg.ConfigOpts) -> None:
    if "mysql" not in running.url(""):
        pytest.skip("PostgreSQL's databases have one encoding")
    names = Database(options).read(lambda connection: set(connection.scalars(sa.text(
        "SELECT table_collation FROM information_schema.tables WHERE table_schema = 'qos_test' "
        "AND table_name LIKE 'nova_qos_%' AND table_name NOT LIKE '%alembic%'"))))
    assert names == {"utf8mb4_bin"}


def test_what_is_wrong_with_it(running: Running, options: cfg.ConfigOpts) -> None:
    for url, says in ((running.url("qos_none"), "does not exist"),
                      (running.url("qos_test", "wrong"), "refuses the account"),
                      (running.url("qos_test"), "nova-qos-manage db sync")):
        with pytest.raises(errors.NoDatabase, match=says) as caught:
            Store(options_for(url)).version()
        assert "127.0.0.1" not in caught.value.message


def test_a_server_that_is_away(store: Store, running: Running) -> None:
    """Its machine is there; nobody listens."""
    url = running.url("qos_test").replace("127.0.0.1:", "127.0.0.2:")
    assert_away(Store(options_for(url)).version)


def test_a_machine_that_is_away(running: Running) -> None:
    """No packet comes back from an address for documentation, or the network says so."""
    url = running.url("qos_test").replace("127.0.0.1:", "192.0.2.1:")
    assert_away(Store(options_for(url)).version)


def test_a_server_that_says_nothing(store: Store, running: Running, options: cfg.ConfigOpts
                                    ) -> None:
    """To new connections and on those of the pool, to what reads and to what changes."""
    gold = store.create("gold", "", {}, False)
    used, before = Store(options), store.version()
    used.catalog()
    with running.stopped():
        for ask in (Store(options).version, store.catalog, store.catalog,
                    lambda: used.update(gold.number, {"description": "late"}, None)):
            assert_away(ask)
    assert store.version() == used.version() == before
    assert used.update(gold.number, {"description": "better"}, 1).revision == 2


def test_many_ask_a_server_that_says_nothing(store: Store, running: Running,
                                             options: cfg.ConfigOpts) -> None:
    """More than the pool has connections: each is answered in time, and then all is well."""
    options.set_override("max_pool_size", 2, "nova_qos_database")
    options.set_override("max_overflow", 2, "nova_qos_database")
    store.catalog()
    with ThreadPoolExecutor(12) as pool:
        with running.stopped():
            list(pool.map(lambda _: assert_away(store.version), range(12)))
        assert len({store.version() for _ in range(12)}) == 1


def test_rows_that_another_has_locked(store: Store, running: Running, options: cfg.ConfigOpts
                                      ) -> None:
    """Whoever reads is answered; a change is refused, and the server does not make it later."""
    gold = store.create("gold", "", {}, False)
    before = store.version()
    with sa.create_engine(running.url("qos_test")).connect() as other:
        other.execute(sa.text("SELECT * FROM nova_qos_state FOR UPDATE"))
        for _ in range(2):
            assert_away(lambda: store.update(gold.number, {"description": "late"}, None))
        assert Store(options).catalog().revision == store.version()[1] == before[1]
        _until(lambda: _waiting(running) == 0)
        other.rollback()
    assert store.version() == before
    assert store.update(gold.number, {"description": "better"}, 1).revision == 2


def test_a_row_that_another_changes_after_it_was_read(
    store: Store, options: cfg.ConfigOpts
) -> None:
    """MariaDB refuses the change then; it is made again."""
    read: list[int] = []

    def overtaken(connection: sa.Connection) -> int:
        read.append(rows.state(connection).revision)
        if len(read) == 1:
            store.create("gold", "", {}, False)
        return int(rows.take_turn(connection).revision)

    before = store.version()[1]
    assert Database(options).change(overtaken) == store.version()[1] == before + 2


def test_a_server_that_ends_and_comes_back(store: Store, running: Running) -> None:
    before = store.version()
    with running.ended():
        for ask in (store.version, store.catalog, lambda: store.create("gold", "", {}, False)):
            assert_away(ask)
    assert store.version() == before


def test_what_was_requested_while_it_said_nothing_is_not_made_later(
    store: Store, running: Running
) -> None:
    """The server has the statement already when it is frozen: it waits for a lock."""
    gold = store.create("gold", "", {}, False)
    before = store.version()
    other = sa.create_engine(running.url("qos_test")).connect()
    other.execute(sa.text("SELECT * FROM nova_qos_state FOR UPDATE"))
    with ThreadPoolExecutor(1) as pool:
        late = pool.submit(
            lambda: assert_away(lambda: store.update(gold.number, {"description": "x"}, None)))
        _until(lambda: _waiting(running) == 1)
        with running.stopped():
            late.result()
    other.close()
    _until(lambda: not any(each.name == "qos-database" for each in threading.enumerate()))
    assert store.version() == before


def test_two_that_make_the_tables_at_the_same_time(
    running: Running, options: cfg.ConfigOpts, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """The other has put the row in, and says so while this one wants to."""
    database = Database(options, patient=True)
    database.read(lambda connection: schema.upgrade(connection, "0003"))
    newest = schema.revisions()[-1]
    with ThreadPoolExecutor(1) as pool:
        with database.engine().begin() as other:
            other.execute(sa.text("INSERT INTO nova_qos_state VALUES (1, 'id', 0, NULL)"))
            other.execute(sa.text(f"UPDATE {VERSION_TABLE} SET version_num = '{newest}'"))
            mine = pool.submit(run, _sync(running, tmp_path))
            _until(lambda: _waiting(running) == 1)
        assert mine.result() == 0
    assert capfd.readouterr().out == f"the database is at revision {newest}, before at 0003\n"
    assert Store(options).version() == ("id", 0)


def test_many_that_make_the_tables_at_the_same_time(
    running: Running, options: cfg.ConfigOpts, tmp_path: Path
) -> None:
    """As where the step runs on each host of the API."""
    arguments = _sync(running, tmp_path)
    all_of_them = [subprocess.Popen([sys.executable, "-m", "nova_qos.cmd.manage", *arguments])
                   for _ in range(4)]
    assert [each.wait(60) for each in all_of_them] == [0] * 4
    assert Store(options).catalog().revision == 0


def _sync(running: Running, place: Path) -> list[str]:
    (place / "nova.conf").write_text(
        f"[nova_qos_database]\nconnection = {running.url('qos_test')}\n")
    return ["--config-file", str(place / "nova.conf"), "db", "sync"]


def assert_away(ask: Callable[[], object]) -> None:
    """It says so, in time."""
    with Stopwatch() as watch, pytest.raises(errors.DatabaseAway):
        ask()
    assert watch.seconds < AT_MOST_S


def _waiting(running: Running) -> int:
    """How many statements wait for a lock."""
    engine = sa.create_engine(running.url("qos_test"))
    with engine.connect() as connection:
        found = connection.scalar(sa.text(
            "SELECT count(*) FROM pg_locks WHERE NOT granted"
            if "postgresql" in running.url("") else
            "SELECT count(*) FROM information_schema.innodb_trx WHERE trx_state = 'LOCK WAIT'"))
    engine.dispose()
    return int(found)


def _until(holds: Callable[[], bool]) -> None:
    # MariaDB says the same to whoever asks again within a tenth of a second
    eventually(holds, each_s=0.2)
