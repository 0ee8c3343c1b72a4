# SPDX-License-Identifier: Apache-2.0
"""The Python API: reads and changes settings of servers through nova's API.

It needs something that sends requests to nova: ``openstack.connect().compute`` of openstacksdk,
or any other ``keystoneauth1.adapter.Adapter`` for the compute service.

Everything here raises ``ApiRefused`` when the API answers with an error, ``NotInstalled`` among
them, and lets the adapter's own errors pass: nobody answers, no access.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NotRequired, Protocol, TypedDict

from nova_qos.core.errors import ApiRefused, NotInstalled
from nova_qos.core.reading import LEFT_IN_PLACE, State
from nova_qos.resources import GET_ALL, LIST_PATH, SET_ALL, TABLE

PAGE = 100
#: How nova's API answers an action that nobody registered.
_UNKNOWN_ACTION = "no such action"
_ABSENT = "this cloud's nova has no nova-qos: its API does not know"

Result = Literal["applied", "pending", "failed"]


class Adapter(Protocol):
    """The part of keystoneauth1's Adapter that is used; both answer a ``requests.Response``."""

    def get(self, url: str, **kwargs: Any) -> Any:
        """Send a GET."""

    def post(self, url: str, **kwargs: Any) -> Any:
        """Send a POST."""


class Saved(TypedDict):
    """What is requested of one resource, in ``unit``; None = nothing."""

    requested: int | None
    unit: str
    range: list[int]
    default: int


class Report(Saved):
    """One resource of a server: requested, and applied by its host (None = nothing can be read,
    -1 = unlimited). ``since``: ISO 8601, UTC. ``reason``: a sentence."""

    applied: int | float | None
    state: State
    effective: bool
    reason: str | None
    since: str | None


class HeldReport(Report):
    """``weight``: the number in proportion to which busy servers share the resource."""

    weight: int | None


class Listed(TypedDict):
    """A server in a list; ``qos`` by resource: Saved, or HeldReport in the list of a host.

    ``status`` is there for a server of which only the id is known, since its cell is down.
    """

    id: str
    name: str | None
    host: str | None
    vcpus: int | None
    memory_mib: int | None
    qos: dict[str, Any]
    status: NotRequired[Literal["UNKNOWN"]]


@dataclass(frozen=True)
class Host:
    """A compute host with all its servers; ``qos`` of each holds a HeldReport a resource."""

    name: str
    vcpus: int
    memory_mib: int
    servers: Sequence[Listed]


@dataclass(frozen=True)
class Outcome:
    """What became of the settings that were ``asked`` for: ``report`` holds every resource."""

    report: Mapping[str, Report]
    asked: tuple[str, ...]

    @property
    def pending(self) -> tuple[str, ...]:
        """What is saved, but still to come."""
        return tuple(name for name in self.asked if _is_to_come(name, self.report[name]))

    @property
    def failed(self) -> tuple[str, ...]:
        """Settings that are saved but will not be applied soon: the host refuses or does not
        support them, the guest took the memory back, or the agent leaves in place what another
        program wrote."""
        return tuple(name for name in self.asked if _does_not_come(name, self.report[name]))

    @property
    def result(self) -> Result:
        """Of all requested settings."""
        return "failed" if self.failed else "pending" if self.pending else "applied"


def _is_to_come(name: str, report: Report) -> bool:
    return _differs(name, report) and report["reason"] != LEFT_IN_PLACE


def _differs(name: str, report: Report) -> bool:
    """Whether the host holds another value than it is to hold, which its agent corrects unless it
    only reports drift."""
    if report["requested"] is None:
        # the host still holds what it was, or there is nobody to carry it out
        return report["state"] == "unset" and not _has_default(name, report)
    return report["state"] in ("pending", "drifted")


def _has_default(name: str, report: Report) -> bool:
    # the state does not tell: it is "unset" also while the host still holds the former value
    row = TABLE.get(name)
    if row is None:
        return report["applied"] == report["default"]
    return row.unit.holds(report["applied"], report["default"])


def _does_not_come(name: str, report: Report) -> bool:
    if report["reason"] == LEFT_IN_PLACE:
        return _differs(name, report)
    states = ("refused", "unsupported", "deflated")
    return report["requested"] is not None and report["state"] in states


class Client:
    """Gets, sets and lists the settings of nova's servers."""

    def __init__(self, adapter: Adapter) -> None:
        self._adapter = adapter

    def get(self, server_id: str) -> dict[str, Report]:
        """Every resource of the server, by name."""
        report: dict[str, Report] = self.act(server_id, GET_ALL, None)
        return report

    def set(self, server_id: str, *, force: bool = False, **settings: int | None) -> Outcome:
        """Change resources by name, each in its unit; None unsets.

        All of them are saved, or none is. What cannot be applied now is pending.

        :param force: take memory even where the guest cannot spare it
        """
        body = {**settings, "force": True} if force else settings
        return Outcome(self.act(server_id, SET_ALL, body), tuple(settings))

    def set_many(
        self, changes: Mapping[str, Mapping[str, int | None]], *, force: bool = False,
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
            answer = self._answer(self._adapter.post(
                LIST_PATH, json={"changes": asked[first:first + PAGE], **more}, raise_exc=False),
                LIST_PATH)
            found |= {each["server"]: _result(each, changes) for each in answer["results"]}
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
        body = _parsed(response)
        if response.status_code < 400:
            return body
        message, is_novas = _message(body)
        if _is_absent(response.status_code, message, is_novas, asked):
            raise NotInstalled(f"{_ABSENT} {asked}", response.status_code)
        raise ApiRefused(
            message or f"{asked}: the API refused without a message", response.status_code,
            response.headers.get("x-openstack-request-id"))


def _result(
    result: Mapping[str, Any], changes: Mapping[str, Mapping[str, int | None]]
) -> Outcome | ApiRefused:
    if "error" in result:
        return ApiRefused(" ".join(str(result["error"]["message"]).split()), result["code"])
    return Outcome(result["qos"], tuple(changes[result["server"]]))


def _is_absent(status: int, message: str, is_novas: bool, asked: str) -> bool:
    if asked == LIST_PATH:
        # nova words its own 404s; what no route leads to is answered by its web framework
        return status == 404 and not is_novas
    return status == 400 and _UNKNOWN_ACTION in message.lower()


def _parsed(response: Any) -> dict[str, Any]:
    try:
        body = response.json()
    except ValueError:
        body = None
    return body if isinstance(body, dict) else {}


def _message(body: Mapping[str, Any]) -> tuple[str, bool]:
    """The sentence of an error, in one line, and whether nova wrote it."""
    fault = next(iter(body.values()), None)
    is_novas = isinstance(fault, dict) and "message" in fault
    message = fault["message"] if is_novas and fault else body.get("message", "")
    return " ".join(str(message).split()), is_novas
