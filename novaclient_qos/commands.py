# SPDX-License-Identifier: Apache-2.0
"""The ``nova`` commands, one pair a row of the table.

novaclient loads this module through its entry point ``novaclient.extension``.
"""

import argparse
from collections.abc import Callable
from typing import Any

from novaclient import utils

from nova_qos.core.resource import Resource
from nova_qos.resources import (
    BALLOON,
    BALLOON_COMMAND,
    NET_PRIORITIES_COMMAND,
    NET_PRIORITY,
    TABLE,
)
from novaclient_qos import answers, servers, words

_Command = Callable[[Any, argparse.Namespace], None]
_SERVER = {"metavar": "<server>", "help": "Name or ID of server."}


def _get_command(row: Resource) -> _Command:
    def get(cs: Any, args: argparse.Namespace) -> None:
        answers.show(servers.ask(cs, args.server, row.names.get_action, None), row)

    get.__doc__ = f"Show a server's {row.title}."
    utils.add_arg(get, "server", **_SERVER)
    return get


def _set_command(row: Resource) -> _Command:
    def set_(cs: Any, args: argparse.Namespace) -> None:
        body: dict[str, object] = {row.names.key: args.value}
        if row.forceable and args.force:
            body["force"] = True
        servers.set_each(cs, args.server, row, body)

    set_.__doc__ = f"Set the {row.title} of one or more servers."
    # novaclient puts each argument before the ones it has
    utils.add_arg(
        set_, "value", metavar=f"<{row.names.argument}>", type=words.quantity(row),
        help=words.value_help(row))
    utils.add_arg(set_, "server", nargs="+", **_SERVER)
    if row.forceable:
        utils.add_arg(set_, "--force", action="store_true", help=words.FORCE_HELP)
    return set_


def _balloon_command(cs: Any, args: argparse.Namespace) -> None:
    """Show whether a server's guest has a working balloon driver."""
    answers.show(servers.ask(cs, args.server, BALLOON, None))


utils.add_arg(_balloon_command, "server", **_SERVER)


def _net_priorities_command(cs: Any, args: argparse.Namespace) -> None:
    """Show the network priorities of several servers."""
    names = [name.strip() for name in args.servers.split(",")]
    servers.show_each(cs, names, NET_PRIORITY)


utils.add_arg(_net_priorities_command, "servers", metavar="<server,server,...>",
              help="Names or IDs of servers, between commas.")


def _function_name(command: str) -> str:
    return "do_" + command.replace("-", "_")


# novaclient knows a command by one thing only: an attribute do_<command> of the module. Written
# out, these would be the table's rows once more, so they are made from it.
for _row in TABLE.values():
    globals()[_function_name(_row.names.get_command)] = _get_command(_row)
    globals()[_function_name(_row.names.set_command)] = _set_command(_row)
globals()[_function_name(BALLOON_COMMAND)] = _balloon_command
globals()[_function_name(NET_PRIORITIES_COMMAND)] = _net_priorities_command
