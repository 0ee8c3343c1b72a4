# SPDX-License-Identifier: Apache-2.0
"""Policies as rows. Every function runs in the transaction of its caller."""

import json
import secrets
import uuid
from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from nova_qos.core import errors
from nova_qos.core.policy import Catalog, Policy, Value, folded
from nova_qos.policies.engine import not_synced
from nova_qos.policies.models import POLICY, PROJECT, STATE

HIGHEST_NUMBER = 10**15 - 1
#: MySQL's TEXT has that many.
_MOST_BYTES = 65535
_NAMED = 5
#: A catalog that changes while it is read is read again, so often.
_READS = 5


def state(connection: sa.Connection) -> Any:
    """The row of the state: ``database``, ``revision``, ``default_policy``.

    :raises NoDatabase: the migrations have not come so far
    """
    row = connection.execute(sa.select(STATE).where(STATE.c.id == 1)).first()
    if row is None:
        raise not_synced()
    return row


def take_turn(connection: sa.Connection) -> Any:
    """Count the change that follows and wait for those before it; first of all in a transaction,
    since SQLite would refuse it later.

    :returns: the row of the state
    :raises NoDatabase: as ``state``
    """
    connection.execute(
        sa.update(STATE).where(STATE.c.id == 1).values(revision=STATE.c.revision + 1))
    return state(connection)


def renew(connection: sa.Connection) -> str:
    """Give the database a new id, as one that was restored from a backup needs: its revisions are
    older than what agents have, and would come again with other content.

    :returns: the id
    :raises NoDatabase: as ``state``
    """
    take_turn(connection)
    new = str(uuid.uuid4())
    connection.execute(sa.update(STATE).where(STATE.c.id == 1).values(database=new))
    return new


def current(connection: sa.Connection, known: Catalog | None) -> Catalog:
    """Everything as it is now: ``known`` where that is it.

    :raises NoDatabase: as ``state``
    """
    for _ in range(_READS - 1):
        now = state(connection)
        if known is not None and (known.database, known.revision) == (now.database, now.revision):
            return known
        # some databases show each statement what others commit before it: look once more
        known = catalog(connection)
    return catalog(connection)


def catalog(connection: sa.Connection) -> Catalog:
    """Everything. Its revision is that of the begin: what it has may be newer, never older."""
    now = state(connection)
    policies = {row.number: _policy(row) for row in connection.execute(
        sa.select(POLICY).order_by(POLICY.c.folded))}
    projects = {row.project: row.policy for row in connection.execute(
        sa.select(PROJECT).order_by(PROJECT.c.project))}
    return Catalog(now.database, now.revision, policies, projects, now.default_policy)


def policy(connection: sa.Connection, number: int) -> Policy:
    """One of them.

    :raises NoSuchPolicy: there is none of this number
    """
    row = connection.execute(sa.select(POLICY).where(POLICY.c.number == number)).first()
    if row is None:
        raise errors.NoSuchPolicy(f"there is no policy {number}")
    return _policy(row)


def add(
    connection: sa.Connection, name: str, description: str, settings: Mapping[str, Value]
) -> Policy:
    """A new one, with revision 1.

    :raises PolicyConflict: the name is taken, in whatever case
    """
    taken = connection.execute(sa.select(POLICY).where(POLICY.c.folded == folded(name))).first()
    if taken is not None:
        raise errors.PolicyConflict(
            f"name: there is a policy {taken.name!r} already; names differ in more than case")
    made = Policy(secrets.randbelow(HIGHEST_NUMBER) + 1, name, dict(settings), 1, description)
    insert(connection, made)
    return made


def insert(connection: sa.Connection, one: Policy) -> None:
    """Add a policy as it is, with its number and revision."""
    connection.execute(sa.insert(POLICY).values(
        number=one.number, name=one.name, folded=folded(one.name), revision=one.revision,
        **_texts(one)))


def replace(connection: sa.Connection, changed: Policy) -> None:
    """Save another description and other settings of one that is there."""
    connection.execute(sa.update(POLICY).where(POLICY.c.number == changed.number).values(
        revision=changed.revision, **_texts(changed)))


def require_unused(connection: sa.Connection, one: Policy, default: int | None) -> None:
    """Refuse to delete a policy that projects have, or everybody.

    :raises PolicyConflict: with who has it
    """
    if default == one.number:
        raise errors.PolicyConflict(
            f"policy {one.name!r} is the default policy; make it no default first")
    projects = list(connection.scalars(sa.select(PROJECT.c.project).where(
        PROJECT.c.policy == one.number).order_by(PROJECT.c.project)))
    if projects:
        more = f" and {len(projects) - _NAMED} more" if len(projects) > _NAMED else ""
        raise errors.PolicyConflict(
            f"policy {one.name!r} is assigned to projects: {', '.join(projects[:_NAMED])}{more}; "
            "remove them from it first")


def set_default(connection: sa.Connection, default: int | None, number: int, on: bool) -> None:
    """Make a policy the default one, or no more so.

    :param default: the number of the one that is it now
    :raises PolicyConflict: another one is
    """
    if on and default is not None and default != number:
        other = policy(connection, default)
        raise errors.PolicyConflict(
            f"is_default: policy {other.name!r} is the default policy; make it no default first")
    if on != (default == number):
        connection.execute(
            sa.update(STATE).where(STATE.c.id == 1).values(default_policy=number if on else None))


def check_description(description: str) -> None:
    """Refuse what not every database holds.

    :raises InvalidSetting: it is too long, or has characters that are none
    """
    try:
        size = len(description.encode())
    except UnicodeEncodeError as error:
        raise errors.InvalidSetting(
            "description: it contains half a character (a lone surrogate); leave it out"
        ) from error
    if "\0" in description or size > _MOST_BYTES:
        raise errors.InvalidSetting(
            f"description: at most {_MOST_BYTES} bytes in UTF-8 and no NUL are accepted, not "
            f"{size} bytes" + (" with a NUL" if "\0" in description else ""))


def _texts(one: Policy) -> dict[str, str]:
    return {"description": one.description, "settings": json.dumps(dict(one.settings))}


def _policy(row: Any) -> Policy:
    return Policy(
        row.number, row.name, json.loads(row.settings), row.revision, row.description)
