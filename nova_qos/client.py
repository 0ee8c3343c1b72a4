# SPDX-License-Identifier: Apache-2.0
"""The Python API: reads and changes settings of servers through nova's API.

It needs something that sends requests to nova: ``openstack.connect().compute`` of openstacksdk,
or any other ``keystoneauth1.adapter.Adapter`` for the compute service.

Everything here raises ``ApiRefused`` when the API answers with an error, ``NotInstalled`` among
them, and lets the adapter's own errors pass: nobody answers, no access.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NotRequired, Protocol, TypedDict

from nova_qos.client_hosts import HostState
from nova_qos.core.errors import ApiRefused, NotInstalled
from nova_qos.outcome import Outcome, Report, Result, Saved, Setting, is_by_policy
from nova_qos.resources import GET_ALL, HOSTS_PATH, LIST_PATH, SET_ALL
from nova_qos.response import message_of, parsed, refusal, require_body

__all__ = [
    "PAGE", "Adapter", "Client", "HeldReport", "Host", "HostState", "Listed", "Outcome", "Report",
    "Result", "Saved", "Setting", "is_by_policy",
]

PAGE = 100
#: How nova's API answers an action that nobody registered.
_UNKNOWN_ACTION = "no such action"
_ABSENT = "this cloud's nova has no nova-qos: its API does not know"
_OLDER = "this cloud's nova has no nova-qos, or an older one: its API does not know"


class Adapter(Protocol):
    """The part of keystoneauth1's Adapter that is used; both answer a ``requests.Response``."""

    def get(self, url: str, **kwargs: Any) -> Any:
        """Send a GET."""

    def post(self, url: str, **kwargs: Any) -> Any:
        """Send a POST."""


class HeldReport(Report):
    """``weight``: the number in proportion to which busy servers share the resource."""

    weight: int | None


class Listed(TypedDict):
    """A server in a list; ``qos`` by resource: Saved, or HeldReport in the list of a host.

    ``status`` is nova's, such as ACTIVE; UNKNOWN for a server of which only the id is known, since
    its cell is down. An older API tells ``project_id`` of none, and ``status`` of these alone.
    ``policy`` is there in the list of a host: the id of the policy that the server is set to,
    "none" where none is to reach it, None where its flavor, its project and the default decide; and
    ``hook``: what a post-create hook gave it, by resource, though something else may decide.
    """

    id: str
    name: str | None
    host: str | None
    vcpus: int | None
    memory_mib: int | None
    qos: dict[str, Any]
    status: NotRequired[str]
    project_id: NotRequired[str | None]
    policy: NotRequired[str | None]
    hook: NotRequired[dict[str, int]]


@dataclass(frozen=True)
class Host:
    """A compute host with all its servers; ``qos`` of each holds a HeldReport a resource."""

    name: str
    vcpus: int
    memory_mib: int
    servers: Sequence[Listed]


class Client:
    """Gets, sets and lists the settings of nova's servers."""

    def __init__(self, adapter: Adapter) -> None:
        self._adapter = adapter

    def get(self, server_id: str) -> dict[str, Report]:
        """Every resource of the server, by name."""
        report: dict[str, Report] = self.act(server_id, GET_ALL, None)
        return report

    def set(self, server_id: str, *, force: bool = False, **settings: Setting) -> Outcome:
        """Change resources by name, each in its unit, and the server's ``policy``; None unsets.

        All of them are saved, or none is. What cannot be applied now is pending. The policy "none"
        means that no policy is to reach the server.

        :param force: take memory even where the guest cannot spare it
        """
        body = {**settings, "force": True} if force else settings
        return Outcome.of(self.act(server_id, SET_ALL, body), settings)

    def set_many(
        self, changes: Mapping[str, Mapping[str, Setting]], *, force: bool = False,
        together: bool = False,
    ) -> dict[str, Outcome | ApiRefused]:
        """Change servers by id, each as ``set`` does, with one request for every hundred.

        The report of an outcome holds what was requested. One that failed has its error, and
        leaves the others changed.

        :param together: change up to a hundred running servers of one host, all of them or none;
            those that give are changed before those that get
        :raises ValueError: more than a hundred together
        """
        if together and len(changes) > PAGE:
            raise ValueError(f"at most {PAGE} servers can be changed together")
        more = {name: True for name, asked in (("force", force), ("together", together)) if asked}
        found: dict[str, Outcome | ApiRefused] = {}
        asked = [{"server": server, "settings": dict(settings)}
                 for server, settings in changes.items()]
        for first in range(0, len(asked), PAGE):
            response = self._adapter.post(
                LIST_PATH, json={"changes": asked[first:first + PAGE], **more}, raise_exc=False)
            results = self._answer(response, LIST_PATH)["results"]
            request_id = response.headers.get("x-openstack-request-id")
            found |= {each["server"]: _result(each, changes, request_id) for each in results}
        return found

    def act(
        self, server_id: str, action: str, value: Mapping[str, object] | None
    ) -> dict[str, Any]:
        """The answer to any one of our server actions, by the action's name."""
        return self._answer(self._adapter.post(
            f"/servers/{server_id}/action", json={action: value}, raise_exc=False), action)

    def servers(self, host: str | None = None) -> Iterator[Listed]:
        """The servers of the project, or all of a compute host (for administrators), with one
        request for every hundred."""
        for page in self._pages(host):
            yield from page["servers"]

    def host(self, name: str) -> Host:
        """A compute host with all its servers (for administrators)."""
        pages = list(self._pages(name))
        servers = [server for page in pages for server in page["servers"]]
        facts = pages[0]["host"]
        return Host(facts["name"], facts["vcpus"], facts["memory_mib"], servers)

    def hosts(self, name: str | None = None, *, servers: bool = False) -> list[HostState]:
        """All compute hosts as a whole, or the one of this name (for administrators): what they
        have, what their servers are guaranteed and need, and whether they are short of it.

        :param servers: with each server of the hosts whose agents answer now
        """
        query = {} if name is None else {"host": name}
        if servers:
            query["servers"] = "true"
        answer = self._answer(
            self._adapter.get(HOSTS_PATH, params=query, raise_exc=False), HOSTS_PATH)
        return [HostState.of(each) for each in answer["hosts"]]

    def _pages(self, host: str | None) -> Iterator[dict[str, Any]]:
        query: dict[str, object] = {"limit": PAGE}
        if host is not None:
            query["host"] = host
        while True:
            page = self._answer(
                self._adapter.get(LIST_PATH, params=query, raise_exc=False), LIST_PATH)
            yield page
            if not (page.get("servers_links") and page["servers"]):
                return
            query["marker"] = page["servers"][-1]["id"]

    def _answer(self, response: Any, asked: str) -> dict[str, Any]:
        body = parsed(response)
        if response.status_code < 400:
            require_body(body, response, asked)
            return body
        message, is_novas = message_of(body)
        if _is_absent(response.status_code, message, is_novas, asked):
            absent = _OLDER if asked == HOSTS_PATH else _ABSENT
            raise NotInstalled(f"{absent} {asked}", response.status_code)
        raise refusal(response, message, asked)


def _result(
    result: Mapping[str, Any], changes: Mapping[str, Mapping[str, Setting]], request_id: str | None
) -> Outcome | ApiRefused:
    if "error" in result:
        # servers have no ids of their own: nova's log has all of them under that of the request
        return ApiRefused(
            " ".join(str(result["error"]["message"]).split()), result["code"], request_id)
    return Outcome.of(result["qos"], changes[result["server"]])


def _is_absent(status: int, message: str, is_novas: bool, asked: str) -> bool:
    if asked in (LIST_PATH, HOSTS_PATH):
        return status == 404 and not is_novas
    return status == 400 and _UNKNOWN_ACTION in message.lower()
