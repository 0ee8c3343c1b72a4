# SPDX-License-Identifier: Apache-2.0
"""Watcher beside the cloud, with our strategy: its own environment, account and database."""

from pathlib import Path

from tools.bed.processes import Daemon
from tools.bed.stack import config, schema, services, tenants
from tools.bed.stack.layout import WATCHER_PORT, Layout
from tools.bed.stack.shell import run
from tools.bed.together import together

#: The environment that ``demo.sh --watcher`` has made.
VENV = "watcher-venv"
_NAME, _KIND = "watcher", "infra-optim"


def daemons(layout: Layout) -> list[Daemon]:
    """Its processes."""
    file = _file(layout)
    return [
        services.web(layout, _NAME, "watcher.wsgi.api", 1, "--pyargv", f"--config-file {file}",
                     venv=VENV, port=WATCHER_PORT),
        *(services.worker(layout, name, name, file, venv=VENV)
          for name in ("watcher-decision-engine", "watcher-applier"))]


def up(layout: Layout) -> None:
    """Start it beside a cloud that is up; what runs is started again.

    :raises TestbedError: a step failed
    """
    together(Daemon.stop, daemons(layout))
    _configure(layout)
    schema.create_database(layout, _NAME)
    tenants.make_service(_NAME, _KIND, f"http://127.0.0.1:{WATCHER_PORT}")
    for program, *words in (("watcher-db-manage", "upgrade"), ("watcher-sync",)):
        run(layout.program(program, VENV), "--config-file", _file(layout), *words)
    together(Daemon.start, daemons(layout))


def down(layout: Layout) -> None:
    """End it, and remove its account and its database."""
    together(Daemon.stop, daemons(layout))
    tenants.remove_service(_NAME)
    schema.drop_database(layout, _NAME)


def _file(layout: Layout) -> Path:
    return layout.etc(_NAME) / "watcher.conf"


def _configure(layout: Layout) -> None:
    config.write(_file(layout), {
        "DEFAULT": config.logging(layout),
        "database": {"connection": layout.database_url(_NAME)},
        "keystone_authtoken": config.token(_NAME),
        "watcher_clients_auth": config.account(_NAME),
        # a guest under emulation moves slowly, and is not to be waited for after it has
        "nova": {"migration_interval": 2, "migration_max_retries": 1800},
        # there is no cinder
        "collector": {"collector_plugins": "compute"},
        "oslo_concurrency": {"lock_path": layout.state / "lock"},
        "oslo_messaging_rabbit": {"rabbit_quorum_queue": False},
    })
