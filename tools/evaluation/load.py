# SPDX-License-Identifier: Apache-2.0
"""Many clients that each ask as soon as they have been answered: ours beside nova's own."""

import itertools
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from tools.evaluation import timings
from tools.evaluation.rest import Rest
from tools.evaluation.site import Site
from tools.evaluation.timings import Answered

CLIENTS = (8, 32)
_ROUNDS, _ROUND_S = 3, 4.0
_NO_ANSWER = 0

#: One request; its status.
Request = Callable[[], int]


def perform(site: Site, out: Path) -> None:
    """All operations in turns, in an order of chance, with few and with many clients."""
    rest = Rest()
    answered: list[Answered] = []
    began = time.monotonic()
    # the first requests of each kind find nothing in any cache
    for operation in OPERATIONS:
        _drive(rest, site, 2, operation, -1, 1.0, began)
    for clients in CLIENTS:
        for number in range(_ROUNDS):
            for operation in site.random.sample(sorted(OPERATIONS), len(OPERATIONS)):
                done = _drive(rest, site, clients, operation, number, _ROUND_S, began)
                answered += done
                print(f"  {clients:2} clients, {operation:<17} {len(done) / _ROUND_S:6.1f}"
                      " requests a second", flush=True)
    for server in site.servers:
        rest.act(server.uuid, "unlock")
    timings.save_answered(answered, out / "load")


def _show(rest: Rest, server: str) -> Iterator[Request]:
    return itertools.repeat(lambda: rest.show(server))


def _get(rest: Rest, server: str) -> Iterator[Request]:
    return itertools.repeat(lambda: rest.act(server, "get-qos"))


def _lock(rest: Rest, server: str) -> Iterator[Request]:
    return itertools.cycle([lambda: rest.act(server, "lock"), lambda: rest.act(server, "unlock")])


def _set(rest: Rest, server: str) -> Iterator[Request]:
    return itertools.cycle([
        lambda: rest.act(server, "set-cpu-priority", {"share": 2048}),
        lambda: rest.act(server, "set-cpu-priority", {"share": 1024})])


OPERATIONS: dict[str, Callable[[Rest, str], Iterator[Request]]] = {
    "show": _show, "get-qos": _get, "lock and unlock": _lock, "set-cpu-priority": _set}


def _drive(
    rest: Rest, site: Site, clients: int, operation: str, number: int, seconds: float,
    began: float,
) -> list[Answered]:
    """What so many clients, spread over the servers, were answered in that time."""
    answered: list[Answered] = []
    end = time.monotonic() + seconds

    def client(server: str) -> None:
        for request in OPERATIONS[operation](rest, server):
            if (started := time.monotonic()) > end:
                return
            try:
                status = request()
            except OSError:
                status = _NO_ANSWER
            answered.append(Answered(clients, operation, number, started - began,
                                     time.monotonic() - started, status))

    threads = [threading.Thread(target=client, args=(server.uuid,), daemon=True)
               for server, _ in zip(itertools.cycle(site.servers), range(clients), strict=False)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answered
