# SPDX-License-Identifier: Apache-2.0
"""A Prometheus on loopback that answers as it is told."""

import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple, Self
from urllib.parse import parse_qs

NOW_S = 1790000000.0
Labels = dict[str, str]


class Asked(NamedTuple):
    """A question that arrived."""

    path: str
    parameters: dict[str, str]
    authorization: str | None

    @property
    def query(self) -> str:
        return self.parameters["query"]


def vector(*samples: tuple[Labels, object]) -> dict[str, Any]:
    """What an instant query finds."""
    return success("vector", [
        {"metric": labels, "value": [NOW_S, value]} for labels, value in samples])


def matrix(*curves: tuple[Labels, list[object]]) -> dict[str, Any]:
    """What a range query finds, a number a minute."""
    return success("matrix", [
        {"metric": labels, "values": [[NOW_S + 60 * place, value]
                                      for place, value in enumerate(values)]}
        for labels, values in curves])


def success(kind: str, result: object) -> dict[str, Any]:
    return {"status": "success", "data": {"resultType": kind, "result": result}}


class RecordedPrometheus:
    """``answer`` makes what it answers to a question: an object as JSON, or bytes as they are.
    ``status`` and ``headers`` are those of each answer, ``asked`` lists the questions."""

    def __init__(self) -> None:
        self.answer: Callable[[Asked], object] = lambda asked: vector()
        self.status = 200
        self.headers: dict[str, str] = {}
        self.asked: list[Asked] = []
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self.address = f"127.0.0.1:{self._http.server_port}"
        self.url = f"http://{self.address}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._http.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._http.shutdown()
        self._http.server_close()

    def knows(self, instance: str, ids: list[str], **found: object) -> None:
        """Answer as a Prometheus that scrapes the host of these servers. ``found``: the number that
        it has of each of them, or of the host, by a word of the query; the first that is there
        counts."""
        def answer(asked: Asked) -> object:
            if asked.query.startswith("count by (job, instance)"):
                return vector(({"job": "nova-qos", "instance": instance}, str(len(ids))))
            value = next((each for word, each in found.items() if word in asked.query), None)
            if value is None:
                return matrix() if asked.path.endswith("query_range") else vector()
            if asked.path.endswith("query_range"):
                return matrix(*(({"server_id": each}, [value] * 3) for each in ids))
            if "by (resource)" in asked.query:
                return vector(({"resource": "cpu_priority"}, value))
            if "server_id" not in asked.query:
                return vector(({}, value))
            return vector(*(({"server_id": each}, value) for each in ids))

        self.answer = answer


def _handler(recorded: RecordedPrometheus) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            asked = Asked(self.path, {name: value[0] for name, value in parse_qs(body).items()},
                          self.headers["Authorization"])
            recorded.asked.append(asked)
            found = recorded.answer(asked)
            self.send_response(recorded.status)
            for name, value in recorded.headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(found if isinstance(found, bytes) else json.dumps(found).encode())

        def log_message(self, format: str, *args: object) -> None:
            """Print nothing."""

    return Handler
