# SPDX-License-Identifier: Apache-2.0
"""A web server on the loopback that plays keystone and nova, as far as agents ask them."""

import json
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from nova_qos.core.policy import Catalog


@dataclass
class Answer:
    """What nova answers; an endless one is never sent."""

    status: int = 200
    body: bytes = b""
    is_endless: bool = False
    headers: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, catalog: Catalog) -> "Answer":
        return cls(200, json.dumps(catalog.to_json()).encode(),
                   headers={"ETag": f'"{catalog.database}-{catalog.revision}"'})

    @classmethod
    def fault(cls, status: int, message: str) -> "Answer":
        """As nova words its own."""
        return cls(status, json.dumps({"fault": {"code": status, "message": message}}).encode())


@dataclass
class Web:
    """What it answers, and what it was asked."""

    url: str
    answers: list[Answer] = field(default_factory=list)
    #: By path, as nova got them: the headers.
    requests: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    #: Users that asked keystone for a token.
    users: list[str] = field(default_factory=list)
    #: (interface, region, path) of nova's endpoints.
    endpoints: list[tuple[str, str, str]] = field(
        default_factory=lambda: [("internal", "one", "/v2.1")])
    over: threading.Event = field(default_factory=threading.Event)

    def nova(self, path: str, headers: dict[str, str]) -> Answer:
        """Each answer once, the last one for good; 304 where the question has its ETag."""
        self.requests.append((path, headers))
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        etag = answer.headers.get("ETag")
        return Answer(304) if etag and headers.get("If-None-Match") == etag else answer

    def token(self, body: dict[str, Any]) -> Answer:
        self.users.append(body["auth"]["identity"]["password"]["user"]["name"])
        catalog = [{"type": "compute", "name": "nova", "id": "1", "endpoints": [
            {"id": path, "interface": interface, "region": region, "region_id": region,
             "url": self.url + path} for interface, region, path in self.endpoints]}]
        return Answer(201, json.dumps({"token": {
            "methods": ["password"], "expires_at": "2099-01-01T00:00:00.000000Z",
            "issued_at": "2020-01-01T00:00:00.000000Z", "catalog": catalog,
            "user": {"id": "u", "name": "n", "domain": {"id": "d", "name": "d"}}}}).encode(),
            headers={"X-Subject-Token": f"token-{len(self.users)}"})


class _Handler(BaseHTTPRequestHandler):
    web: Web

    def do_GET(self) -> None:
        if self.path.rstrip("/") == "/v3":
            self._send(Answer(200, json.dumps({"version": {
                "id": "v3.14", "status": "stable",
                "links": [{"rel": "self", "href": f"{self.web.url}/v3/"}]}}).encode()))
        else:
            self._send(self.web.nova(self.path, dict(self.headers.items())))

    def do_POST(self) -> None:
        length = int(self.headers["Content-Length"])
        self._send(self.web.token(json.loads(self.rfile.read(length))))

    def _send(self, answer: Answer) -> None:
        if answer.is_endless:
            self.web.over.wait()
            return
        self.send_response(answer.status)
        for name, value in {**answer.headers, "Content-Length": str(len(answer.body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(answer.body)

    def log_message(self, *_arguments: object) -> None:
        pass


@contextmanager
def serving(certificate: tuple[Path, Path] | None = None) -> Iterator[Web]:
    """Such a server while inside; with a certificate and its key, over TLS."""
    handler = type("Handler", (_Handler,), {})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    scheme = "http"
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)
        scheme = "https"
    handler.web = web = Web(f"{scheme}://127.0.0.1:{server.server_port}")  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield web
    finally:
        web.over.set()
        server.shutdown()
        thread.join()
        server.server_close()
