# SPDX-License-Identifier: Apache-2.0
"""The schema of the database: how far it is, and how it gets to this release's."""

import re
from pathlib import Path

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from oslo_db import exception

from nova_qos.core import errors
from nova_qos.policies.engine import detail
from nova_qos.policies.models import VERSION_TABLE

_MIGRATIONS = Path(__file__).parent / "migrations"
NEWEST = "head"
#: What PostgreSQL and MySQL say where another has made the table since we looked for it.
_MADE_MEANWHILE = re.compile(r"already exists|\b1050\b")


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

    :param connection: without a transaction; each revision is one
    :raises NoDatabase: a newer release has made it
    :raises PolicyConflict: another one brings it there at the same time
    """
    require_known(present(connection))
    # what has been read began a transaction, in which alembic would not commit
    connection.rollback()
    config = _config()
    config.attributes["connection"] = connection
    try:
        command.upgrade(config, to)
    except (CommandError, exception.DBError) as error:
        if not _is_of_another(error):
            raise
        raise errors.PolicyConflict(
            "another nova-qos-manage db sync runs at this moment; run it again") from error


def require_known(revision: str | None) -> None:
    """Refuse a schema that this release does not know.

    :raises NoDatabase: a newer release has made it
    """
    if revision is not None and revision not in revisions():
        raise errors.NoDatabase(
            f"the database of [nova_qos_database] connection has revision {revision}, which this "
            "release does not know: a newer release has made it; upgrade nova-qos on this host")


def _is_of_another(error: CommandError | exception.DBError) -> bool:
    """Whether another upgrade was faster, as a row or a table that is there by now says, or the
    revision that is another one by now."""
    return isinstance(error, CommandError | exception.DBDuplicateEntry | exception.DBDeadlock) \
        or bool(_MADE_MEANWHILE.search(detail(error)))


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    return config
