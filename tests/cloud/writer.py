# SPDX-License-Identifier: Apache-2.0
"""A process that saves servers as nova's services do: with nova's own objects, on the demo's
database, from copies that it has loaded earlier."""

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tools.bed.stack.layout import Layout


class Writer:
    """Asked for one step at a time."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process

    def load(self, server: str) -> None:
        """Load a copy of the server."""
        self._ask(do="load", server=server)

    def save(self, keys: dict[str, str | None] | None = None, **fields: str | None) -> bool:
        """Change keys of system_metadata (None: take one out) and fields of the copy, and save it.

        :returns: False where another task was in progress
        """
        return bool(self._ask(do="save", keys=keys or {}, fields=fields))

    def post_password(self, server: str, password: str) -> None:
        """Post a guest's password, as nova's metadata service does it."""
        self._ask(do="password", server=server, password=password)

    def _ask(self, **order: Any) -> Any:
        assert self._process.stdin
        assert self._process.stdout
        print(json.dumps(order), file=self._process.stdin, flush=True)
        return json.loads(self._process.stdout.readline())


@contextmanager
def writer() -> Iterator[Writer]:
    """The process, which ends afterwards."""
    layout = Layout.of_environment()
    process = subprocess.Popen(
        [layout.program("python"), "-c", _CODE, str(layout.etc("nova") / "nova.conf")],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        yield Writer(process)
    finally:
        assert process.stdin
        process.stdin.close()
        process.wait(20)


_CODE = """
import json
import sys
from types import SimpleNamespace
from nova import config, context, exception, objects
from nova.api.metadata import password
config.parse_args(['writer', '--config-file', sys.argv[1]], default_config_files=[sys.argv[1]])
objects.register_all()
instance = None
for line in sys.stdin:
    order = json.loads(line)
    answer = True
    if order['do'] == 'load':
        admin = context.get_admin_context()
        found = objects.InstanceMapping.get_by_instance_uuid(admin, order['server'])
        context.set_target_cell(admin, found.cell_mapping)
        instance = objects.Instance.get_by_uuid(
            admin, order['server'], expected_attrs=['system_metadata', 'metadata', 'flavor'])
    elif order['do'] == 'save':
        before = instance.task_state
        for key, value in order['keys'].items():
            if value is None:
                instance.system_metadata.pop(key, None)
            else:
                instance.system_metadata[key] = value
        for name, value in order['fields'].items():
            setattr(instance, name, value)
        try:
            instance.save(expected_task_state=[before])
        except exception.UnexpectedTaskStateError:
            answer = False
    else:
        secret = order['password'].encode()
        request = SimpleNamespace(method='POST', body=secret, content_length=len(secret))
        password.handle_password(request, SimpleNamespace(uuid=order['server'], password=None))
    print(json.dumps(answer), flush=True)
"""
