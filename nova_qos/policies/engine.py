# SPDX-License-Identifier: Apache-2.0
"""The connection to the database, and what its failures mean."""

import logging
import math
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import sqlalchemy as sa
from oslo_config import cfg
from oslo_db import api, exception
from oslo_db.sqlalchemy import engines
from sqlalchemy import exc

from nova_qos import conf
from nova_qos.core import errors
from nova_qos.policies.waiting import Late, Waits

LOG = logging.getLogger(__name__)
T = TypeVar("T")
Work = Callable[[sa.Connection], T]
#: Does some work with the engine; begins nothing more after that time.
Ask = Callable[[sa.Engine, float], T]
OPTION = "[nova_qos_database] connection"
#: Seconds that a request waits for the database, for whatever reason.
_WITHIN_S = 2.0
#: The most threads that still wait when their callers no longer do, for a server that was frozen
#: with their questions; later ones end by themselves, since it makes no connection then.
_MOST_HELD = 64
#: Seconds to wait for a connection of the pool.
_POOL_TIMEOUT_S = 1
#: Of a request. A connection that died without a word takes one second, so that another can be
#: made within two; libpq takes no less than two for that. The server ends what waits for a lock or
#: takes long, and with it what it holds.
_IN_A_REQUEST = {
    "mysql": {
        "charset": "utf8mb4", "connect_timeout": "1", "read_timeout": "1", "write_timeout": "1",
        "init_command": "SET SESSION innodb_lock_wait_timeout = 1, lock_wait_timeout = 1"},
    "postgresql": {
        "connect_timeout": "2", "tcp_user_timeout": "1000", "keepalives_idle": "5",
        "keepalives_interval": "2", "keepalives_count": "3",
        "options": "-c statement_timeout=1000 -c lock_timeout=900 "
                   "-c idle_in_transaction_session_timeout=2000"},
    "sqlite": {"timeout": "2"},
}
#: Of a migration: it may take its time.
_PATIENT = {
    "mysql": {"charset": "utf8mb4", "connect_timeout": "10"},
    "postgresql": {"connect_timeout": "10"},
}
#: The drivers that know these; of another one the URL may name its own.
_DRIVERS = {"pymysql", "mysqldb", "psycopg2", "psycopg", "pysqlite"}
#: What the server says to a user that it does not take, or that may not do this.
_REFUSED = re.compile(
    r"\b(1044|1045|1142|1698)\b|authentication failed|pg_hba\.conf|no password supplied"
    r"|permission denied|role \".*\" (does not exist|is not permitted)")
#: What MariaDB says of a row that another transaction has changed; from 11.6 on, without being
#: asked to. oslo.db knows that as a deadlock since 18.0.
_OVERTAKEN = re.compile(r"\(1020, ")


class Database:
    """The database that ``[nova_qos_database]`` names; opens nothing until it is needed.

    :param patient: for migrations, which may take longer than a request: without it, ``read`` and
        ``change`` take two seconds at most and run their work on a thread of its own
    """

    def __init__(self, options: cfg.ConfigOpts, patient: bool = False) -> None:
        conf.register(options)
        self._options, self._patient = options.nova_qos_database, patient
        self._lock, self._waits = threading.Lock(), Waits(_MOST_HELD)
        self._engine: sa.Engine | None = None
        #: What was logged since the last answer.
        self._logged: set[str] = set()

    @property
    def is_configured(self) -> bool:
        """Whether the option is set."""
        return bool(self._options.connection)

    def read(self, work: Work[T]) -> T:
        """What ``work`` finds out in one transaction.

        :raises NoDatabase: it is not configured, or not as it has to be
        :raises DatabaseAway: it does not answer
        """
        def ask(engine: sa.Engine, _until: float) -> T:
            with engine.connect() as connection:
                return work(connection)

        return self._asked(ask)

    def change(self, work: Work[T]) -> T:
        """What ``work`` answers, with what it has changed committed; again if another was first.

        :raises NoDatabase, DatabaseAway: as ``read``; whether it is changed is not known then
        :raises PolicyConflict: something that has to be unique is there already
        """
        def ask(engine: sa.Engine, until: float) -> T:
            return _committed(engine, work, until)  # type: ignore[no-any-return]

        return self._asked(ask)

    def engine(self) -> sa.Engine:
        """The engine, made at the first call; it has not connected then.

        :raises NoDatabase: the option is unset, or no URL, or its driver is not installed
        """
        with self._lock:
            if self._engine is None:
                self._engine = self._made()
            return self._engine

    def _asked(self, ask: Ask[T]) -> T:
        with self._translated():
            engine = self.engine()
            if self._patient:
                return ask(engine, math.inf)
            until = time.monotonic() + _WITHIN_S
            try:
                return self._waits.answer(lambda: ask(engine, until), until)
            except Late:
                # connections of the pool may hang like this one; new ones show what is the matter
                engine.dispose()
                raise

    def _made(self) -> sa.Engine:
        if not self.is_configured:
            raise errors.NoDatabase(
                f"there are no named policies here: {OPTION} is not set in the nova.conf of the "
                "API; set it and run nova-qos-manage db sync")
        try:
            return self._opened(_url(self._options.connection, self._patient))
        except (ImportError, exc.NoSuchModuleError) as error:
            raise errors.NoDatabase(
                f"{OPTION} names a database driver that is not installed here: {error}") from error
        except (exc.ArgumentError, ValueError):
            # what they say has the password in it
            raise errors.NoDatabase(
                f"{OPTION} is no URL of a database, such as "
                "mysql+pymysql://USER:PASSWORD@HOST/nova_qos") from None

    def _opened(self, url: sa.URL) -> sa.Engine:
        options = self._options
        # what SQLite has instead of a pool does not know it
        timeout_s = None if url.get_backend_name() == "sqlite" else _POOL_TIMEOUT_S
        # oslo.db would try for longer than a request may take, so it does not try
        engine: sa.Engine = engines.create_engine(
            url, max_retries=0, connection_recycle_time=options.connection_recycle_time,
            max_pool_size=options.max_pool_size, max_overflow=options.max_overflow,
            pool_timeout=timeout_s, mysql_sql_mode="TRADITIONAL")
        return engine

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except exception.DBDuplicateEntry as error:
            raise errors.PolicyConflict(
                "another change has taken this name just now; look at the policies and repeat"
            ) from error
        except (exception.DBError, exc.SQLAlchemyError, Late) as error:
            # logged and not answered: users are not to read of hosts and accounts
            said = detail(error)
            if said not in self._logged:
                LOG.warning("The database of named policies: %s", said)
            self._logged.add(said)
            raise _meaning(error, said) from error
        self._logged.clear()


def detail(error: BaseException | None) -> str:
    """What the driver says of an error, in one line; it names hosts and accounts, but no
    passwords."""
    while isinstance(error, exception.DBError) and error.inner_exception is not None:
        error = error.inner_exception
    return " ".join(str(getattr(error, "orig", None) or error).split())


def is_overtaken(error: BaseException) -> bool:
    """Whether another transaction was first, so that this one has to be done again."""
    return isinstance(error, exception.DBDeadlock) or (
        isinstance(error, exception.DBError) and bool(_OVERTAKEN.match(detail(error))))


def not_synced() -> errors.NoDatabase:
    """For a database without the tables of this release."""
    return errors.NoDatabase(
        f"the database of {OPTION} does not have the tables of this release; run "
        "nova-qos-manage db sync")


def _meaning(error: Exception, said: str) -> errors.QosError:
    cause = getattr(error, "inner_exception", None) or error
    if _REFUSED.search(said):
        return errors.NoDatabase(
            f"the database of {OPTION} refuses the account in that URL; the log of the API has "
            "what it says")
    if isinstance(error, exception.DBNonExistentDatabase):
        return errors.NoDatabase(
            f"the database that {OPTION} names does not exist; create it and run "
            "nova-qos-manage db sync")
    if isinstance(error, exception.DBNonExistentTable) or isinstance(cause, exc.ProgrammingError):
        return not_synced()
    return errors.DatabaseAway(
        "the database of named policies does not answer; try again later. The log of the API has "
        "the reason")


@api.wrap_db_retry(
    retry_interval=0.05, max_retry_interval=0.5, max_retries=10, exception_checker=is_overtaken)
def _committed(engine: sa.Engine, work: Work[T], until: float) -> T:
    _require_time(until)
    with engine.begin() as connection:
        done = work(connection)
        # who was told that it may not have been saved will repeat it: it is not saved behind them
        _require_time(until)
        return done


def _require_time(until: float) -> None:
    if time.monotonic() >= until:
        raise Late("no answer in time")


def _url(text: str, patient: bool) -> sa.URL:
    url = sa.make_url(text)
    backend = url.get_backend_name().replace("mariadb", "mysql")
    wanted = (_PATIENT if patient else _IN_A_REQUEST).get(backend, {})
    if url.get_driver_name() not in _DRIVERS:
        wanted = {name: value for name, value in wanted.items() if name == "charset"}
    return url.update_query_dict(
        {name: value for name, value in wanted.items() if name not in url.query})
