# SPDX-License-Identifier: Apache-2.0
"""Users of a cloud who set, get and list in a loop, each on a thread of its own."""

import threading
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from itertools import count

from nova_qos.resources import TABLE
from tests.cloud.sets import requested
from tests.cloud.upgrade.answers import Answers, User

#: Between the requests of one user, in seconds: two processors serve the whole cloud.
_PAUSE_S = 0.3
#: What was set last, by server and resource.
Last = dict[tuple[str, str], int]


class Worker(threading.Thread):
    """Takes a step again and again until it is ended."""

    def __init__(self, step: Callable[[], None], answers: Answers) -> None:
        super().__init__(daemon=True)
        self._step, self._answers, self._ended = step, answers, threading.Event()
        #: Held during a step.
        self.turn = threading.Lock()

    def run(self) -> None:
        while not self._ended.wait(_PAUSE_S):
            with self.turn:
                try:
                    self._step()
                except Exception:  # noqa: BLE001  # the test ends with all that was wrong
                    self._answers.note_wrong(traceback.format_exc(limit=3))

    def end(self) -> None:
        """End it after the step that it takes."""
        self._ended.set()
        self.join()


class Load:
    """All users; a context in which they work."""

    def __init__(self, answers: Answers) -> None:
        self.last: Last = {}
        self._answers, self._workers = answers, dict[str, Worker]()

    def __enter__(self) -> "Load":
        return self

    def __exit__(self, *_error: object) -> None:
        for each in self._workers.values():
            each.end()

    def begin(self, name: str, step: Callable[[], None]) -> None:
        """Another user begins to work."""
        self._workers[name] = Worker(step, self._answers)
        self._workers[name].start()

    @contextmanager
    def without(self, *names: str) -> Iterator[None]:
        """While inside, these users (without names: all) have no request under way."""
        with ExitStack() as stack:
            for name in names or self._workers:
                if name in self._workers:
                    stack.enter_context(self._workers[name].turn)
            yield

    def setter(self, user: User, server: str, name: str) -> Callable[[], None]:
        """Sets one resource of one server, mostly a step more each time, and looks for it."""
        values = _values(name)

        def step() -> None:
            value = next(values)
            status, _ = user.act(server, "set-qos", {name: value})
            if status in (200, 202):
                self.last[server, name] = value
                self._answers.note_change(f"{name} of {server}", value,
                                          requested(user, server)[name])

        return step

    def many(self, user: User, servers: tuple[str, ...], name: str) -> Callable[[], None]:
        """Sets a resource of all these servers in one request, and looks for it in the list."""
        values = _values(name)

        def step() -> None:
            wanted = {server: next(values) for server in servers}
            answer = user.request("POST", "/os-qos", json={"changes": [
                {"server": server, "settings": {name: value}} for server, value in wanted.items()]})
            if answer.status_code not in (200, 207):
                return
            listed = {each["id"]: each for each in user.request("GET", "/os-qos").json()["servers"]}
            for result in answer.json()["results"]:
                if result["code"] in (200, 202):
                    key = (result["server"], name)
                    self.last[key] = wanted[key[0]]
                    self._answers.note_change(f"{name} of {key[0]} among many", self.last[key],
                                              listed[key[0]]["qos"][name]["requested"])
                else:
                    self._answers.note_wrong(f"among many: {result}")

        return step

    def editor(self, user: User, path: str, name: str) -> Callable[[], None]:
        """Edits a policy, and looks for it."""
        values = _values(name)

        def step() -> None:
            settings = {name: next(values)}
            edited = user.request("PUT", path, json={"policy": {"settings": settings}})
            shown = user.request("GET", path)
            if (edited.status_code, shown.status_code) == (200, 200):
                self._answers.note_change(
                    f"an edit of {path}", settings, shown.json()["policy"]["settings"])

        return step


def getter(user: User, servers: tuple[str, ...]) -> Callable[[], None]:
    """Gets all of one server, and one resource from its host."""
    turns = count()

    def step() -> None:
        server = servers[next(turns) % len(servers)]
        user.act(server, "get-qos")
        user.act(server, "get-cpu-priority")

    return step


def lister(user: User, paths: Sequence[str]) -> Callable[[], None]:
    """Gets one list after another."""
    turns = count()

    def step() -> None:
        user.request("GET", paths[next(turns) % len(paths)])

    return step


def _values(name: str) -> Iterator[int]:
    """Within the resource's range; never twice the same one after another."""
    highest = {"net_priority": 98, "io_priority": 1000}.get(name, 9000)
    lowest = {"net_priority": 0, "io_priority": 100}.get(name, 2048)
    assert name in TABLE
    return (lowest + number * 7 % (highest - lowest) for number in count(1))
