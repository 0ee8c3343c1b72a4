# SPDX-License-Identifier: Apache-2.0
"""The schema of the database: how far it is, and how it gets to this release's."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from oslo_db import exception
from sqlalchemy import exc

from nova_qos.core import errors
from nova_qos.policies.engine import is_overtaken
from nova_qos.policies.models import VERSION_TABLE

_MIGRATIONS = Path(__file__).parent / "migrations"
NEWEST = "head"
#: PostgreSQL's locks of this kind have numbers in each database: "nova_qos".
_LOCK = int.from_bytes(b"nova_qos", "big")


def revisions() -> list[str]:
    """Those that this release knows, the oldest first."""
    scripts = ScriptDirectory.from_config(_config())
    return [each.revision for each in scripts.walk_revisions()][::-1]


def present(connection: sa.Connection) -> str | None:
    """The revision that the database has; None for an empty one."""
    context = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE})
    return context.get_current_revision()


def upgrade(connection: sa.Connection, to: str = NEWEST) -> None:
    """Bring the database to a revision; what is there of it stays.

    :param connection: without a transaction; on MySQL, each revision is one
    :raises NoDatabase: a newer release has made it
    :raises PolicyConflict: another one brings it there at the same time
    """
    require_known(present(connection))
    # what has been read began a transaction, in which alembic would not commit
    connection.rollback()
    config = _config()
    config.attributes["connection"] = connection
    try:
        with _alone(connection):
            command.upgrade(config, to)
    except (CommandError, exception.DBError) as error:
        if isinstance(error, CommandError | exception.DBDuplicateEntry) or is_overtaken(error):
            raise _others() from error
        raise


def require_known(revision: str | None) -> None:
    """Refuse a schema that this release does not know.

    :raises NoDatabase: a newer release has made it
    """
    if revision is not None and revision not in revisions():
        raise errors.NoDatabase(
            f"the database of [nova_qos_database] connection has revision {revision}, which this "
            "release does not know: a newer release has made it; upgrade nova-qos on this host")


@contextmanager
def _alone(connection: sa.Connection) -> Iterator[None]:
    """Keeps others out: of two that begin with an empty database each would note its own revision.

    :raises PolicyConflict: another one is at it
    """
    if connection.dialect.name == "postgresql":
        with connection.begin():
            # it ends with the transaction, also where a pool between shares connections
            if not connection.scalar(sa.text(f"SELECT pg_try_advisory_xact_lock({_LOCK})")):
                raise _others()
            yield
    elif connection.dialect.name in ("mysql", "mariadb"):
        with _named_lock(connection):
            yield
    else:
        yield


@contextmanager
def _named_lock(connection: sa.Connection) -> Iterator[None]:
    # MySQL's are of the server, with names of up to 64 characters
    name = f"CONCAT('{VERSION_TABLE}.', MD5(DATABASE()))"
    try:
        is_mine = connection.scalar(sa.text(f"SELECT GET_LOCK({name}, 0)"))
    except (exception.DBError, exc.SQLAlchemyError):
        # some clusters refuse it: one sync at a time is up to the operator there
        is_mine = None
    connection.rollback()
    if is_mine == 0:
        raise _others()
    try:
        yield
    finally:
        if is_mine:
            # it is the session's, which a pool may keep
            connection.rollback()
            connection.execute(sa.text(f"SELECT RELEASE_LOCK({name})"))
            connection.rollback()


def _others() -> errors.PolicyConflict:
    return errors.PolicyConflict(
        "another nova-qos-manage db sync runs at this moment; run it again")


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    return config
