# SPDX-License-Identifier: Apache-2.0
"""Server actions as commands send them: find the server, ask, and say what became of it."""

from collections.abc import Mapping, Sequence
from typing import Any

# what novaclient raises when nobody answers
from keystoneauth1 import exceptions as connection
from novaclient import exceptions, utils

from nova_qos.resources import Resource
from novaclient_qos import answers

#: How nova's API answers an action that nobody registered.
_UNKNOWN_ACTION = "no such action"


def ask(cs: Any, server: str, action: str, value: Mapping[str, object] | None) -> answers.Answer:
    """The API's answer to one action on the server of that name or ID.

    :raises CommandError: no such server, or anything the API refused, in one line
    """
    try:
        uuid = utils.find_resource(cs.servers, server).id
        _response, body = cs.client.post(f"/servers/{uuid}/action", body={action: value})
    except (exceptions.ClientException, connection.ClientException) as error:
        raise exceptions.CommandError(_sentence(error, action)) from error
    return answers.Answer(body or {})


def set_each(cs: Any, names: Sequence[str], row: Resource, body: Mapping[str, object]) -> None:
    """Try every server and print a line for each.

    :raises CommandError: at least one did not take it
    """
    failed = [name for name in names if not _set_one(cs, name, row, body)]
    if failed:
        raise exceptions.CommandError(
            f"{row.title} not set on {len(failed)} of {len(names)}: {', '.join(failed)}")


def show_each(cs: Any, names: Sequence[str], row: Resource) -> None:
    """Ask for every server and print one table, with the error where there was one.

    :raises CommandError: at least one could not be shown
    """
    shown: dict[str, object] = {}
    failed = []
    for name in names:
        try:
            shown[name] = answers.value(ask(cs, name, row.get_action, None), row)
        except exceptions.CommandError as error:
            shown[name] = f"ERROR {error}"
            failed.append(name)
    utils.print_dict(shown, dict_property="Server", dict_value=row.key)
    if failed:
        raise exceptions.CommandError(
            f"{row.title} not shown for {len(failed)} of {len(names)}: {', '.join(failed)}")


def _set_one(cs: Any, name: str, row: Resource, body: Mapping[str, object]) -> bool:
    try:
        line = answers.outcome(ask(cs, name, row.set_action, body), row, body)
    except exceptions.CommandError as error:
        print(f"{name}: ERROR {error}", flush=True)
        return False
    print(f"{name}: {line}", flush=True)
    return True


def _sentence(error: Exception, action: str) -> str:
    if isinstance(error, exceptions.BadRequest) and _UNKNOWN_ACTION in error.message.lower():
        return f"this cloud's nova has no nova-qos: its API does not know {action}"
    return " ".join(str(error).split())
