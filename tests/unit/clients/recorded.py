# SPDX-License-Identifier: Apache-2.0
"""A cloud that answers as keystone and nova did when their answers were written down.

It listens on loopback, so that the commands run whole: the shells' own code, real HTTP.
"""

import json
import threading
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

#: Status, body and, where they matter, headers.
Answer = tuple[int, object] | tuple[int, object, dict[str, str]]
#: nova's answer to an action that it does not know.
UNKNOWN = "There is no such action: {}"
#: The answer of its web framework to a path that no route leads to.
NO_ROUTE: Answer = (404, {"message": "The resource could not be found.<br /><br />",
                           "code": "404 Not Found", "title": "Not Found"})


def fault(code: int, message: str) -> Answer:
    """An error as nova words it."""
    return code, {"badRequest" if code == 400 else "fault": {"code": code, "message": message}}


class RecordedCloud:
    """``servers`` maps names to ids; ``answers`` maps (name, action) to what nova answers;
    ``asked`` lists (name, action, value) of every action that arrived. ``listed`` is what GET
    /os-qos shows, ``page`` a page; None: this nova has no nova-qos. ``queries`` lists what it was
    asked with, ``headers`` are those of the last request. ``states`` is what GET
    /os-qos/hosts shows; None: this nova-qos is older. ``takes_many``: whether it has POST /os-qos;
    ``many_id``: the id of such a request. ``compute_url``: where nova is, if not here."""

    page = 2
    takes_many = True

    def __init__(self, *names: str, compute_url: str | None = None) -> None:
        self.servers = {name: str(uuid.uuid4()) for name in names}
        self.answers: dict[tuple[str, str], Answer] = {}
        self.asked: list[tuple[str, str, Any]] = []
        self.listed: list[dict[str, Any]] | None = None
        self.host: dict[str, object] | None = None
        self.states: list[dict[str, Any]] | None = None
        self.queries: list[dict[str, list[str]]] = []
        self.headers: dict[str, str] = {}
        self.many_id: str | None = None
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self.url = f"http://127.0.0.1:{self._http.server_port}"
        self._compute_url = compute_url or f"{self.url}/v2.1"

    def __enter__(self) -> Self:
        threading.Thread(target=self._http.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._http.shutdown()
        self._http.server_close()

    def credentials(self, user: str = "demo") -> list[str]:
        """The options that make ``nova`` and ``openstack`` talk to this cloud."""
        return ["--os-auth-url", f"{self.url}/v3", "--os-username", user, "--os-password", "x",
                "--os-project-name", "demo", "--os-project-domain-id", "default",
                "--os-user-domain-id", "default"]

    def answer(self, method: str, path: str, body: Any) -> Answer | None:
        """Status and body; None hangs up, as a service does that dies."""
        address = urlsplit(path)
        what = address.path.removeprefix("/v2.1").strip("/").split("/")
        if address.path.startswith("/v3"):
            return self._keystone(method)
        if what == [""]:
            return 200, {"version": _version("v2.1", self.url, version="2.96", min_version="2.1")}
        if method == "POST":
            return self._change(body) if what == ["os-qos"] else self.act(what[1], body)
        if what == ["os-qos"]:
            return self._list(parse_qs(address.query))
        if what == ["os-qos", "hosts"]:
            return self._hosts(parse_qs(address.query).get("host"))
        if what[-1] in ("servers", "detail"):
            wanted = parse_qs(address.query).get("name", [""])[0]
            found = [name for name in self.servers if wanted in name and "marker" not in path]
            return 200, {"servers": [self._server(name) for name in found]}
        name = self._name(what[1])
        missing = fault(404, f"Instance {what[1]} could not be found.")
        return (200, {"server": self._server(name)}) if name else missing

    def _change(self, body: Any) -> Answer | None:
        """As many times what nova would have answered to one, unless its nova-qos is older."""
        absent = (404, "no route")
        if not self.takes_many:
            return absent
        more = {"force": True} if body.get("force") else {}
        results = []
        for each in body["changes"]:
            answer = self.act(each["server"], {"set-qos": each["settings"] | more})
            if answer is None:
                return None
            code, found = answer[0], answer[1]
            assert isinstance(found, dict)
            if found == fault(400, UNKNOWN.format("set-qos"))[1]:
                return absent
            results.append({"server": each["server"], "code": code, **(
                {"qos": {name: row for name, row in found.items()
                         if {name, "policy"} & each["settings"].keys()}} if code < 400
                else {"error": next(iter(found.values()))})})
        codes = {each["code"] for each in results}
        headers = {"x-openstack-request-id": self.many_id} if self.many_id else {}
        return 200 if len(codes) == 1 else 207, {"results": results}, headers

    def _keystone(self, method: str) -> Answer:
        if method == "GET":
            return 200, {"version": _version("v3.14", f"{self.url}/v3")}
        endpoint = {"id": "e", "interface": "public", "region": "one", "region_id": "one",
                    "url": self._compute_url}
        return 201, {"token": {
            "methods": ["password"], "expires_at": "2999-01-01T00:00:00.000000Z",
            "issued_at": "2025-01-01T00:00:00.000000Z", "audit_ids": ["a"],
            "user": {"id": "u", "name": "demo", "domain": {"id": "default", "name": "Default"}},
            "project": {"id": "p", "name": "demo", "domain": {"id": "default", "name": "Default"}},
            "roles": [{"id": "r", "name": "admin"}], "is_domain": False,
            "catalog": [{"id": "c", "type": "compute", "name": "nova", "endpoints": [endpoint]}]}}

    def _list(self, query: dict[str, list[str]]) -> Answer:
        if self.listed is None:
            return NO_ROUTE
        self.queries.append(query)
        ids = [server["id"] for server in self.listed]
        first = ids.index(query["marker"][0]) + 1 if "marker" in query else 0
        page: dict[str, object] = {"servers": self.listed[first:first + self.page]}
        if first + self.page <= len(ids):
            page["servers_links"] = [{"rel": "next", "href": f"{self.url}/v2.1/os-qos?limit=1"}]
        if "host" in query:
            page["host"] = self.host
        return 200, page

    def _hosts(self, names: list[str] | None) -> Answer:
        if self.states is None:
            return NO_ROUTE
        found = [each for each in self.states if names in (None, [each["name"]])]
        if names and not found:
            return fault(404, f"there is no compute host {names[0]}")
        return 200, {"hosts": found}

    def act(self, server_id: str, body: dict[str, Any]) -> Answer | None:
        """What nova answers to an action on a server."""
        name = self._name(server_id)
        (action, value), = body.items()
        self.asked.append((str(name), action, value))
        unknown = fault(400, UNKNOWN.format(action))
        answer = self.answers.get((str(name), action), unknown)
        return None if answer[0] == 0 else answer

    def _server(self, name: str) -> dict[str, str]:
        host = {"OS-EXT-SRV-ATTR:host": self.host["name"]} if self.host else {}
        return {"id": self.servers[name], "name": name, "status": "ACTIVE", **host}

    def _name(self, server_id: str) -> str | None:
        return {known: name for name, known in self.servers.items()}.get(server_id)


def _version(name: str, url: str, **more: str) -> dict[str, object]:
    return {"id": name, "status": "CURRENT" if more else "stable", "links": [
        {"rel": "self", "href": f"{url}/v2.1/" if more else f"{url}/"}], **more}


def _user(body: Any) -> str:
    """Who asks keystone for a token."""
    asks = isinstance(body, dict) and "auth" in body
    return str(body["auth"]["identity"]["password"]["user"]["name"]) if asks else ""


def _handler(cloud: RecordedCloud) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        # an answer in one piece: a second one would wait for the first to be acknowledged
        wbufsize = -1

        def do_GET(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(length)) if length else None
            cloud.headers = dict(self.headers)
            answer = cloud.answer(self.command, self.path, body)
            if answer is None:
                self.close_connection = True
                return
            # an answer without content, as 204 is
            content = b"" if answer[1] is None else json.dumps(answer[1]).encode()
            self.send_response(answer[0])
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.send_header("X-Subject-Token", f"token-of-{_user(body)}")
            for name, value in (answer[2] if len(answer) > 2 else {}).items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        do_POST = do_PUT = do_DELETE = do_GET

        def log_message(self, format: str, *args: object) -> None:
            """Requests are kept in ``asked``."""

    return Handler
