# SPDX-License-Identifier: Apache-2.0
"""Many clients that each ask as soon as they have been answered: ours beside nova's own."""

import itertools
import threading
import time
from collections.abc import Callable, Iterator, Mapping
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
#: The requests of a client, which has a server of its own.
Operation = Callable[[str], Iterator[Request]]


def perform(site: Site, out: Path) -> None:
    """All operations in turns, in an order of chance, with few and with many clients."""
    rest = Rest()
    load = Load(site, {
        "show": lambda server: itertools.repeat(lambda: rest.show(server)),
        "get-qos": lambda server: itertools.repeat(lambda: rest.act(server, "get-qos")),
        "lock and unlock": lambda server: lock(rest, server),
        "set-cpu-priority": lambda server: turns(
            lambda: rest.act(server, "set-cpu-priority", {"share": 2048}),
            lambda: rest.act(server, "set-cpu-priority", {"share": 1024})),
    })
    load.warm()
    answered = [each for clients in CLIENTS for each in load.rounds(clients, _ROUNDS, _ROUND_S)]
    for server in site.servers:
        rest.act(server.uuid, "unlock")
    timings.save_answered(answered, out / "load")


def lock(rest: Rest, server: str) -> Iterator[Request]:
    """nova's own: a write to its database, and no more."""
    return turns(lambda: rest.act(server, "lock"), lambda: rest.act(server, "unlock"))


def turns(one: Request, other: Request) -> Iterator[Request]:
    """Each after the other, without end."""
    return itertools.cycle([one, other])


class Load:
    """The operations by their names, asked for by clients that are spread over the servers."""

    def __init__(self, site: Site, operations: Mapping[str, Operation]) -> None:
        self._site, self._operations = site, operations
        self._began = time.monotonic()

    def warm(self) -> None:
        """The first requests of each kind find nothing in any cache: they do not count."""
        for operation in self._operations:
            self._drive(2, operation, -1, 1.0)

    def rounds(self, clients: int, rounds: int, seconds: float) -> list[Answered]:
        """What so many clients were answered in rounds of that length, one for each operation."""
        answered: list[Answered] = []
        for number in range(rounds):
            names = sorted(self._operations)
            for operation in self._site.random.sample(names, len(names)):
                began = time.monotonic()
                done = self._drive(clients, operation, number, seconds)
                # who asked in time is waited for
                took = time.monotonic() - began
                answered += done
                print(f"  {clients:2} clients, {operation:<17} {len(done) / took:6.1f}"
                      " requests a second", flush=True)
        return answered

    def _drive(self, clients: int, operation: str, number: int, seconds: float) -> list[Answered]:
        answered: list[Answered] = []
        end = time.monotonic() + seconds

        def client(server: str) -> None:
            for request in self._operations[operation](server):
                if (started := time.monotonic()) > end:
                    return
                try:
                    status = request()
                except OSError:
                    status = _NO_ANSWER
                answered.append(Answered(clients, operation, number, started - self._began,
                                         time.monotonic() - started, status))

        threads = [threading.Thread(target=client, args=(server.uuid,), daemon=True) for server, _
                   in zip(itertools.cycle(self._site.servers), range(clients), strict=False)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return answered
