# SPDX-License-Identifier: Apache-2.0
"""What became of a request for several servers, by the answers of an HTTP server."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace

import pytest

from tools.evaluation import rest
from tools.evaluation.rest import Rest

Answer = tuple[int, object]


class Nova(BaseHTTPRequestHandler):
    """Answers all requests alike, and keeps them."""

    answer: Answer = (200, None)
    asked: list[tuple[str, str, object]] = []

    def _reply(self) -> None:
        length = int(self.headers.get("Content-Length", "0"))
        body = json.loads(self.rfile.read(length)) if length else None
        self.asked.append((self.command, self.path, body))
        status, content = self.answer
        encoded = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(encoded)))
        self.end_headers()
        self.wfile.write(encoded)

    do_GET = do_POST = do_PUT = _reply

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> Iterator[Rest]:
    monkeypatch.setattr(Nova, "asked", [])
    monkeypatch.setattr(rest.tenants, "connect", lambda: SimpleNamespace(
        session=SimpleNamespace(get_token=lambda: "token")))
    with ThreadingHTTPServer(("127.0.0.1", 0), Nova) as server:
        monkeypatch.setitem(rest.PORTS, "nova", server.server_port)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield Rest()
        server.shutdown()


def results(*codes: int) -> object:
    return {"results": [{"server": "a", "code": code} for code in codes]}


@pytest.mark.parametrize(("answer", "code"), [
    ((200, results(200, 200)), 200), ((207, results(200, 409, 202)), 409),
    ((200, results(503, 503)), 503), ((202, results(202, 202)), 202),
    ((400, {"badRequest": {}}), 400), ((502, b"<html>"), 502)])
def test_code_of_a_request_for_several_servers(
    client: Rest, monkeypatch: pytest.MonkeyPatch, answer: Answer, code: int
) -> None:
    monkeypatch.setattr(Nova, "answer", answer)
    assert client.set_many(["a", "b"], {"cpu_priority": 1}) == code
    assert Nova.asked == [("POST", "/v2.1/os-qos", {"changes": [
        {"server": name, "settings": {"cpu_priority": 1}} for name in ("a", "b")]})]


def test_action_and_show(client: Rest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Nova, "answer", (202, b""))
    assert (client.act("a", "lock"), client.show("a")) == (202, 202)
    assert Nova.asked == [
        ("POST", "/v2.1/servers/a/action", {"lock": None}), ("GET", "/v2.1/servers/a", None)]
