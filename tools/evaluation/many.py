# SPDX-License-Identifier: Apache-2.0
"""Many clients that each change all three servers by one request, beside clients that change one
of them, and beside nova's own actions."""

from pathlib import Path

from tools.evaluation import timings
from tools.evaluation.load import Load, Operation, lock, turns
from tools.evaluation.rest import Rest
from tools.evaluation.site import Site

CLIENTS = 64
_ROUNDS, _ROUND_S = 3, 6.0


def perform(site: Site, out: Path) -> None:
    """All operations in turns, in an order of chance."""
    rest = Rest()
    uuids = [server.uuid for server in site.servers]
    operations: dict[str, Operation] = {
        "POST /os-qos": lambda server: turns(
            lambda: rest.set_many(uuids, {"cpu_priority": 2048}),
            lambda: rest.set_many(uuids, {"cpu_priority": 1024})),
        "set-qos": lambda server: turns(
            lambda: rest.act(server, "set-qos", {"cpu_priority": 2048}),
            lambda: rest.act(server, "set-qos", {"cpu_priority": 1024})),
        "lock and unlock": lambda server: lock(rest, server),
    }
    load = Load(site, operations)
    load.warm()
    answered = load.rounds(CLIENTS, _ROUNDS, _ROUND_S)
    for server in uuids:
        rest.act(server, "unlock")
    site.clear()
    timings.save_answered(answered, out / "many")
