# SPDX-License-Identifier: Apache-2.0
"""Named policies, as the database of ``[nova_qos_database]`` keeps them.

Every change is one transaction that begins with the row of the state, so that changes wait for each
other and none is lost; it adds 1 to the catalog's revision.
"""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import sqlalchemy as sa
from oslo_config import cfg

from nova_qos.core import errors
from nova_qos.core.policy import Catalog, Policy, Value
from nova_qos.policies import rows
from nova_qos.policies.engine import Database
from nova_qos.policies.models import POLICY, PROJECT

T = TypeVar("T")


class _Unchanged(Exception):
    """Everything is as requested; taken back, so that no agent fetches it again."""


class Store:
    """Reads and changes the policies; the threads of a process share one.

    Every method raises ``NoDatabase`` where there is none, or none that could be used, and
    ``DatabaseAway`` where it does not answer, after two seconds. Names and settings are what
    ``core.policy`` has checked. Opens nothing until a method is called.
    """

    def __init__(self, options: cfg.ConfigOpts) -> None:
        self._database = Database(options)
        self._known: Catalog | None = None

    @property
    def is_configured(self) -> bool:
        """Whether a database is named; nobody has asked it yet."""
        return self._database.is_configured

    def version(self) -> tuple[str, int]:
        """The database's id and the revision of its catalog: as long as they are the same,
        nothing has changed. One indexed row."""
        now = self._database.read(rows.state)
        return now.database, now.revision

    def catalog(self) -> Catalog:
        """Everything as it is now, with descriptions; kept, and read again when it has changed."""
        known = self._known
        self._known = found = self._database.read(
            lambda connection: rows.current(connection, known))
        return found

    def create(
        self, name: str, description: str, settings: Mapping[str, Value], is_default: bool
    ) -> Policy:
        """A new policy, with a number that none had before.

        :raises PolicyConflict: the name is taken, or another policy is the default
        :raises InvalidSetting: no database holds this description
        """
        rows.check_description(description)

        def work(connection: sa.Connection, default: int | None) -> Policy:
            made = rows.add(connection, name, description, settings)
            if is_default:
                rows.set_default(connection, default, made.number, True)
            return made

        return self._change(work)

    def update(self, number: int, changes: Mapping[str, Any], seen: int | None) -> Policy:
        """The policy after the changes, its revision grown by 1.

        :param changes: any of ``description``, ``settings`` (all of them) and ``is_default``
        :param seen: the revision that the caller has changed; None for whatever there is
        :raises NoSuchPolicy: there is none
        :raises PolicyChanged: its revision is another one
        :raises PolicyConflict: another policy is the default
        :raises InvalidSetting: no database holds this description
        """
        rows.check_description(changes.get("description", ""))

        def work(connection: sa.Connection, default: int | None) -> Policy:
            one = _as_seen(rows.policy(connection, number), seen)
            changed = dataclasses.replace(
                one, revision=one.revision + 1, settings=changes.get("settings", one.settings),
                description=changes.get("description", one.description))
            rows.replace(connection, changed)
            if "is_default" in changes:
                rows.set_default(connection, default, number, changes["is_default"])
            return changed

        return self._change(work)

    def delete(self, number: int, seen: int | None) -> None:
        """Delete the policy; ``seen`` as for ``update``.

        :raises NoSuchPolicy: there is none
        :raises PolicyChanged: its revision is another one
        :raises PolicyConflict: it is assigned to projects, or the default
        """
        def work(connection: sa.Connection, default: int | None) -> None:
            one = _as_seen(rows.policy(connection, number), seen)
            rows.require_unused(connection, one, default)
            connection.execute(sa.delete(POLICY).where(POLICY.c.number == number))

        self._change(work)

    def put_back(self, policy: Policy) -> None:
        """Undo ``delete``, for a policy that somebody has been given meanwhile.

        :param policy: as it was
        :raises PolicyConflict: its name was taken meanwhile
        """
        self._change(lambda connection, _default: rows.insert(connection, policy))

    def assign(self, number: int, project: str) -> None:
        """Give the project's servers this policy; another one that they had is replaced.

        :raises NoSuchPolicy: there is none
        """
        def work(connection: sa.Connection, default: int | None) -> None:
            rows.policy(connection, number)
            before = connection.scalar(
                sa.select(PROJECT.c.policy).where(PROJECT.c.project == project))
            if before == number:
                raise _Unchanged
            connection.execute(sa.delete(PROJECT).where(PROJECT.c.project == project))
            connection.execute(sa.insert(PROJECT).values(project=project, policy=number))

        try:
            self._change(work)
        except _Unchanged:
            return

    def unassign(self, number: int, project: str) -> None:
        """Take this policy from the project's servers.

        :raises NoSuchPolicy: there is none, or the project has another one or none
        """
        def work(connection: sa.Connection, default: int | None) -> None:
            one = rows.policy(connection, number)
            of_project = (PROJECT.c.project == project) & (PROJECT.c.policy == number)
            if not connection.execute(sa.delete(PROJECT).where(of_project)).rowcount:
                raise errors.NoSuchPolicy(
                    f"policy {one.name!r} is not assigned to project {project}")

        self._change(work)

    def _change(self, work: Callable[[sa.Connection, int | None], T]) -> T:
        return self._database.change(
            lambda connection: work(connection, rows.take_turn(connection).default_policy))


def _as_seen(policy: Policy, seen: int | None) -> Policy:
    if seen is not None and policy.revision != seen:
        raise errors.PolicyChanged(
            f"policy {policy.name!r} has revision {policy.revision} by now, not {seen}; look at it "
            "and repeat the change")
    return policy
