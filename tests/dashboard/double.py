# SPDX-License-Identifier: Apache-2.0
"""A cloud on loopback: a keystone that lets everybody in, and nova on a host in memory."""

import json
import threading
import uuid
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qsl, urlsplit

from tests.dashboard.api import Answer, Api, fault
from tests.dashboard.host import PROJECT, Host

_DOMAIN = {"id": "default", "name": "Default"}
_IMPLIED = {"admin": ("admin", "member", "reader"), "member": ("member", "reader")}
_TIMES = {"expires_at": "2999-01-01T00:00:00.000000Z", "issued_at": "2025-01-01T00:00:00.000000Z"}


class Double:
    """``instead`` has answers by method and path below /v2.1, in place of nova's own; ``counted``
    counts the requests of ours to nova; the user's name is the role."""

    def __init__(self) -> None:
        self.clear()
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._http.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._http.server_port}"
        self._roles: dict[str, str] = {}

    def clear(self) -> None:
        """Begin with a host without servers; who is logged in stays."""
        self.host = Host()
        self.api = Api(self.host)
        self.instead: dict[tuple[str, str], Answer] = {}
        self.counted: Counter[str] = Counter()
        self.tokens: set[str] = set()

    def __enter__(self) -> Self:
        threading.Thread(target=self._http.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._http.shutdown()
        self._http.server_close()

    def answer(self, method: str, path: str, body: Any, token: str) -> Answer:
        """What the service answers that the path leads to."""
        address = urlsplit(path)
        if address.path.startswith("/v3"):
            return self._keystone(method, address.path.removeprefix("/v3"), body, token)
        if address.path.startswith("/network"):
            return 200, {address.path.split("/")[-1]: []}, {}
        below = address.path.removeprefix("/v2.1").rstrip("/")
        if not below:
            return 200, {"version": {"id": "v2.1", "status": "CURRENT", "version": "2.96",
                                     "min_version": "2.1", "links": []}}, {}
        if below.startswith("/os-qos") or below.endswith("/action"):
            self.counted[f"{method} {below}"] += 1
            self.tokens.add(token)
        instead = self.instead.get((method, below))
        query = dict(parse_qsl(address.query))
        return instead or self.api.answer(method, below, query, body)

    def _keystone(self, method: str, path: str, body: Any, token: str) -> Answer:
        if method == "POST" and path == "/auth/tokens":
            return self._token(body["auth"])
        if path in ("/auth/projects", "/projects") or path.endswith("/projects"):
            return 200, {"projects": [{"id": PROJECT, "name": "demo", "enabled": True,
                                       "domain_id": "default"}], "links": {}}, {}
        if path == "/auth/domains":
            return 200, {"domains": [], "links": {}}, {}
        return 200, {"version": {"id": "v3.14", "status": "stable", "links": [
            {"rel": "self", "href": f"{self.url}/v3/"}], "media-types": []}}, {}

    def _token(self, asked: Any) -> Answer:
        identity, made = asked["identity"], uuid.uuid4().hex
        if "domain" in asked.get("scope", {}):
            return fault(401, "no role in the domain")
        name = (identity["password"]["user"]["name"] if "password" in identity
                else self._roles[identity["token"]["id"]])
        self._roles[made] = name
        token = {"methods": list(identity["methods"]), "audit_ids": ["a"], **_TIMES,
                 "user": {"id": name, "name": name, "domain": _DOMAIN}}
        if "project" in asked.get("scope", {}):
            endpoints = [(kind, f"{self.url}/{version}") for kind, version in (
                ("compute", "v2.1"), ("identity", "v3"), ("network", "network"))]
            token |= {
                "project": {"id": PROJECT, "name": "demo", "domain": _DOMAIN}, "is_domain": False,
                "roles": [{"id": each, "name": each} for each in _IMPLIED.get(name, (name,))],
                "catalog": [
                    {"id": kind, "type": kind, "name": kind, "endpoints": [
                        {"id": kind, "interface": "public", "region": "one", "region_id": "one",
                         "url": url}]} for kind, url in endpoints]}
        return 201, {"token": token}, {"X-Subject-Token": made}


def _handler(cloud: Double) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _serve(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(length)) if length else None
            status, answer, headers = cloud.answer(
                self.command, self.path, body, self.headers.get("X-Auth-Token", ""))
            content = b"" if answer is None else json.dumps(answer).encode()
            self.send_response(status)
            for name, value in {
                    "Content-Type": "application/json", "Content-Length": str(len(content)),
                    "x-openstack-request-id": f"req-{uuid.uuid4()}", **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_PUT = do_DELETE = _serve

        def log_message(self, *_words: object) -> None:
            pass

    return Handler
