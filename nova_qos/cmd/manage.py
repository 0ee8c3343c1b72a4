# SPDX-License-Identifier: Apache-2.0
"""nova-qos-manage: makes and checks the tables of the named policies."""

import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

try:
    from oslo_config import cfg

    from nova_qos.policies import schema
    from nova_qos.policies.engine import Database, detail
    from nova_qos.policies.rows import renew
except ModuleNotFoundError as error:
    sys.exit(f"nova-qos-manage: {error}; install nova-qos with its extra: "
             "pip install 'nova-qos[policies]'")

from nova_qos.core import errors

_NOT_READY, _FAILED = 1, 2
#: Where the step runs on each host of the API, all begin it at the same time: one makes the tables,
#: and the others look again, so often and with a pause of so many seconds.
_TIMES, _PAUSE_S = 60, 1.0


def main() -> None:
    """The console script."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: Sequence[str]) -> int:
    """Do what the arguments say and print what was done.

    :returns: the exit status: 0 when it is as requested, 1 when ``check`` finds that the API could
        not use the database, 2 when nothing could be done or found out
    """
    options = cfg.ConfigOpts()
    options.register_cli_opt(cfg.SubCommandOpt("what", handler=_add_commands))
    try:
        options(arguments, project="nova", prog="nova-qos-manage")
        return _COMMANDS[options.what.command](Database(options, patient=True))
    except (cfg.Error, errors.QosError) as error:
        said = f" ({detail(error.__cause__)})" if error.__cause__ else ""
        print(f"nova-qos-manage: {getattr(error, 'message', error)}{said}", file=sys.stderr)
        return _FAILED


def _add_commands(subparsers: Any) -> None:
    parser = subparsers.add_parser(
        "db", help="the database of the named policies, [nova_qos_database] connection")
    parser.add_argument(
        "command", choices=list(_COMMANDS),
        help="sync: make its tables, or bring them to this release; what is in them stays. "
             "version: print the revision that they have. check: exit with 0 if the API can use "
             "the database and with 1 if not. renew: after it was restored from a backup, give it "
             "a new id, so that all agents fetch what it has")


def _sync(database: Database) -> int:
    before = database.read(schema.present)
    _upgrade(database)
    after = database.read(schema.present)
    print(f"the database is at revision {after}" + (
        " already" if after == before else f", before at {before or 'none'}"))
    return 0


def _upgrade(database: Database) -> None:
    for _ in range(_TIMES - 1):
        try:
            return database.read(schema.upgrade)
        except errors.PolicyConflict:
            time.sleep(_PAUSE_S)
    return database.read(schema.upgrade)


def _version(database: Database) -> int:
    print(database.read(schema.present) or "none")
    return 0


def _check(database: Database) -> int:
    present = database.read(schema.present)
    schema.require_known(present)
    newest = schema.revisions()[-1]
    if present != newest:
        print(f"the database is at revision {present or 'none'} and has to be at {newest}; run "
              "nova-qos-manage db sync")
        return _NOT_READY
    print(f"the database is ready, at revision {newest}")
    return 0


def _renew(database: Database) -> int:
    print(f"the database has the new id {database.change(renew)}")
    return 0


_COMMANDS: Mapping[str, Callable[[Database], int]] = {
    "sync": _sync, "version": _version, "check": _check, "renew": _renew}


if __name__ == "__main__":
    main()
