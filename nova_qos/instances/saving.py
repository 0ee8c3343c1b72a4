# SPDX-License-Identifier: Apache-2.0
"""How the API saves a server's desired state, and the instance action that every set leaves.

One transaction on the cell's database writes our keys alone, so nothing that nova keeps beside them
is lost, and adds the action. It begins with an update of the instance's row, which makes two
transactions on one server wait for each other.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime

from nova.db.main import api as db
from nova.db.main import models
from oslo_db import api as oslo_db_api
from oslo_db import exception
from oslo_utils import timeutils

from nova_qos.core import errors
from nova_qos.core.server import Entries, Entry, SavedServer, newer
from nova_qos.instances import journal, settings
from nova_qos.instances.settings import Context, Instance

#: What a save of several sets can fail with for a reason that is one of them's alone.
FAILURES = (errors.QosError, exception.DBError)
_LONGEST = 255
_RETRIES = 5


@dataclass(frozen=True)
class Trace:
    """What a set will have left in ``server event list``: who, what and how it ended.

    ``action`` is the name of the action, ``what`` that of its event; ``began`` is in UTC.
    """

    context: Context
    server_uuid: str
    host: str | None
    action: str
    what: str
    began: datetime

    @classmethod
    def begin(cls, context: Context, instance: Instance, action: str, what: str) -> "Trace":
        """The trace of a set that begins now."""
        return cls(context.elevated(), instance.uuid, instance.host, action, what[:_LONGEST],
                   timeutils.utcnow())

    @contextmanager
    def left_if_it_fails(self) -> Iterator[None]:
        """Record why the set failed that is tried inside, if it does; ``save`` records the rest."""
        with ExitStack() as unexpected:
            unexpected.callback(_fail, self.context, self, "unexpected error")
            try:
                yield
            except errors.QosError as error:
                unexpected.pop_all()
                _fail(self.context, self, error.message)
                raise
            unexpected.pop_all()


@dataclass(frozen=True)
class _Told:
    """What the record of a set says beside its trace."""

    trace: Trace
    message: str
    result: str
    details: str | None
    traceback: str | None = None


#: Given what is saved by now, answers what to save.
Changes = Callable[[Entries], Entries]
#: Whether what was written may stay.
Check = Callable[[], None]


def _nothing() -> None:
    """Nothing is to be checked."""


def save(
    trace: Trace, changes: Changes, waits_for: str | None = None, check: Check = _nothing
) -> dict[str, Entry]:
    """Save changes of a server's desired state, and record the set that made them.

    Of each resource the last change counts; what nova has overwritten is saved again.

    :param waits_for: why the set has yet to be applied, for the record; None: it was applied
    :param check: is called when all is written and nothing is committed; what it raises undoes that
    :returns: the server's desired state
    :raises TaskInProgress: nova has started a task on the server; nothing was saved
    :raises ServerGone: it was deleted
    """
    (saved,) = save_all([(trace, changes, waits_for)], check)
    return saved


def save_all(
    sets: Sequence[tuple[Trace, Changes, str | None]], check: Check = _nothing
) -> list[dict[str, Entry]]:
    """As ``save`` for several servers of one cell: all of them are saved or none.

    :returns: their desired states, in this order
    """
    return _save(sets[0][0].context, sets, check)  # type: ignore[no-any-return]


def load(context: Context, instance: Instance) -> SavedServer:
    """The server with its desired state as the database has it now; what nova has overwritten of
    that is saved again.

    :param instance: as nova loaded it, with its flavor
    """
    kept, changes = _look(context, instance.uuid)
    return _mended(context, settings.saved_server(instance, kept), changes)


def newest(context: Context, server: SavedServer) -> SavedServer:
    """The server with its desired state; what nova has overwritten of that is saved again."""
    return _mended(context, server, _last_changes(context, server.uuid))


def _mended(context: Context, server: SavedServer, changes: Entries) -> SavedServer:
    if server.updated(changes) is server:
        return server
    return server.having(_mend(context.elevated(), server.uuid))


@oslo_db_api.wrap_db_retry(max_retries=_RETRIES, retry_on_deadlock=True)
@db.pick_context_manager_writer
def _save(
    context: Context, sets: Sequence[tuple[Trace, Changes, str | None]], check: Check
) -> list[dict[str, Entry]]:
    # everybody in one order, so that nobody waits for each other
    saved: dict[str, dict[str, Entry]] = {}
    told: list[_Told] = []
    for trace, changes, waits_for in sorted(sets, key=lambda each: each[0].server_uuid):
        saved[trace.server_uuid], line = _save_one(context, trace, changes)
        told.append(_Told(trace, line, "Success", None if waits_for is None
                          else f"saved, to be applied: {waits_for}"))
    _add_actions(context, told)
    context.session.flush()
    check()
    return [saved[trace.server_uuid] for trace, *_ in sets]


def _save_one(
    context: Context, trace: Trace, changes: Changes
) -> tuple[dict[str, Entry], str]:
    """Save one; what it comes to, and the line that tells of it."""
    _take_turn(context, trace.server_uuid)
    kept, known = _known(context, trace.server_uuid)
    asked = changes(known)
    taken = newer(asked, known)
    now = {**known, **taken}
    _write(context, trace.server_uuid, kept, now)
    # a line has one stamp for all: what was not taken would become later than what counts
    return now, journal.line(taken or asked)


@oslo_db_api.wrap_db_retry(max_retries=_RETRIES, retry_on_deadlock=True)
@db.pick_context_manager_writer
def _mend(context: Context, server_uuid: str) -> dict[str, Entry]:
    kept, known = _known(context, server_uuid)
    _write(context, server_uuid, kept, known)
    return known


@db.pick_context_manager_reader
def _look(context: Context, server_uuid: str) -> tuple[dict[str, str], dict[str, Entry]]:
    # columns and not nova's objects, of which a server has dozens
    of = models.InstanceSystemMetadata
    ours = context.session.query(of.key, of.value).filter_by(instance_uuid=server_uuid).filter(
        of.key.like(f"{settings.PREFIX}%"))
    return dict(ours.all()), _last_changes(context, server_uuid)


@db.pick_context_manager_reader
def _last_changes(context: Context, server_uuid: str) -> dict[str, Entry]:
    # one column of fifty actions
    action = models.InstanceAction
    messages = context.session.query(action.message).filter_by(
        instance_uuid=server_uuid).filter(action.message.like(f"{journal.BEGINNING}%"))
    last = messages.order_by(action.created_at.desc(), action.id.desc()).limit(journal.LAST)
    return journal.newest(message for message, in last)


@oslo_db_api.wrap_db_retry(max_retries=_RETRIES, retry_on_deadlock=True)
@db.pick_context_manager_writer
def _fail(context: Context, trace: Trace, reason: str) -> None:
    _add_actions(context, [_Told(trace, "Error", "Error", reason, traceback=reason)])


def _take_turn(context: Context, server_uuid: str) -> None:
    # an update and not a lock, since Galera's nodes do not know each other's locks
    servers = context.session.query(models.Instance).filter_by(uuid=server_uuid, deleted=0)
    if not servers.filter_by(task_state=None).update(
            {"updated_at": timeutils.utcnow()}, synchronize_session=False):
        server = servers.first()
        if server is None:
            raise errors.ServerGone(f"server {server_uuid} was deleted")
        raise errors.TaskInProgress(
            f"nova has started task {server.task_state} on the server; ask again when it is done")


def _known(
    context: Context, server_uuid: str
) -> tuple[dict[str, models.InstanceSystemMetadata], dict[str, Entry]]:
    """The rows of our keys, and the desired state that they and the journal come to."""
    kept: dict[str, models.InstanceSystemMetadata] = {}
    for row in context.session.query(models.InstanceSystemMetadata).filter_by(
            instance_uuid=server_uuid):
        if row.key in kept:
            # no index keeps two saves from adding one key each
            context.session.delete(row)
        elif row.key.startswith(settings.PREFIX):
            kept[row.key] = row
    saved = settings.entries_of({key: row.value for key, row in kept.items()})
    return kept, {**saved, **newer(_last_changes(context, server_uuid), saved)}


def _write(
    context: Context, server_uuid: str, kept: dict[str, models.InstanceSystemMetadata],
    entries: Entries,
) -> None:
    for key, value in settings.kept_as(entries).items():
        row = kept.get(key)
        if row is None and value is not None:
            context.session.add(models.InstanceSystemMetadata(
                instance_uuid=server_uuid, key=key, value=value))
        elif row is not None and value is None:
            # as nova does, which reads rows that are marked as deleted
            context.session.delete(row)
        elif row is not None and row.value != value:
            row.value = value


def _add_actions(context: Context, told: Sequence[_Told]) -> None:
    # not by nova's functions: each of them is a transaction that repeats itself
    now = timeutils.utcnow()
    actions = [models.InstanceAction(
        action=each.trace.action, instance_uuid=each.trace.server_uuid,
        request_id=context.request_id, user_id=context.user_id, project_id=context.project_id,
        start_time=each.trace.began, updated_at=now, message=each.message) for each in told]
    context.session.add_all(actions)
    context.session.flush()
    context.session.add_all([models.InstanceActionEvent(
        event=each.trace.what, action_id=action.id, start_time=each.trace.began, finish_time=now,
        host=each.trace.host, result=each.result, details=each.details, traceback=each.traceback)
        for each, action in zip(told, actions, strict=True)])
