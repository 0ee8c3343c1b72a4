# SPDX-License-Identifier: Apache-2.0
"""Server actions as commands send them: find the server, ask, and say what became of it."""

from collections.abc import Mapping, Sequence
from typing import Any

# what novaclient raises when nobody answers
from keystoneauth1 import exceptions as connection
from novaclient import exceptions, utils

from nova_qos.client import Client
from nova_qos.core.errors import ApiRefused
from nova_qos.core.resource import Resource
from novaclient_qos import answers
from novaclient_qos.output import Lines


class _Adapter:
    """novaclient's session, which answers pairs, as our client wants it. Not an adapter of our own
    on it: this one knows the microversion and keeps the times for ``--timings``."""

    def __init__(self, session: Any) -> None:
        self._session = session

    def get(self, url: str, **kwargs: Any) -> Any:
        return self._session.get(url, **kwargs)[0]

    def post(self, url: str, **kwargs: Any) -> Any:
        return self._session.post(url, **kwargs)[0]


def ask(cs: Any, server: str, action: str, value: Mapping[str, object] | None) -> answers.Answer:
    """The API's answer to one action on the server of that name or ID.

    :raises CommandError: no such server, or anything the API refused, in one line
    """
    try:
        uuid = utils.find_resource(cs.servers, server).id
        return answers.Answer(Client(_Adapter(cs.client)).act(uuid, action, value))
    except (ApiRefused, exceptions.ClientException, connection.ClientException) as error:
        raise exceptions.CommandError(" ".join(str(error).split())) from error


def set_each(cs: Any, names: Sequence[str], row: Resource, body: Mapping[str, object]) -> None:
    """Try every server and print a line for each, also when nobody reads the lines any more.

    :raises CommandError: at least one did not take it
    """
    lines = Lines()
    failed = [name for name in names if not _set_one(cs, name, row, body, lines)]
    if failed:
        raise exceptions.CommandError(
            f"{row.title} not set on {len(failed)} of {len(names)}: {', '.join(failed)}")
    lines.end()


def show_each(cs: Any, names: Sequence[str], row: Resource) -> None:
    """Ask for every server and print one table, with the error where there was one.

    :raises CommandError: at least one could not be shown
    """
    shown: dict[str, object] = {}
    failed = []
    for name in names:
        try:
            shown[name] = answers.value(ask(cs, name, row.names.get_action, None), row)
        except exceptions.CommandError as error:
            shown[name] = f"ERROR {error}"
            failed.append(name)
    utils.print_dict(shown, dict_property="Server", dict_value=row.names.key)
    if failed:
        raise exceptions.CommandError(
            f"{row.title} not shown for {len(failed)} of {len(names)}: {', '.join(failed)}")


def _set_one(
    cs: Any, name: str, row: Resource, body: Mapping[str, object], lines: Lines
) -> bool:
    try:
        line = answers.outcome(ask(cs, name, row.names.set_action, body), row, body)
    except exceptions.CommandError as error:
        lines.print(f"{name}: ERROR {error}")
        return False
    lines.print(f"{name}: {line}")
    return True
