# SPDX-License-Identifier: Apache-2.0
"""The Python API of named policies, through nova's API; ``nova_qos.client`` has that of servers.

Everything here raises ``ApiRefused`` when the API answers with an error, ``NotInstalled`` where it
has no named policies, and lets the adapter's own errors pass.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NotRequired, Protocol, TypedDict
from urllib.parse import quote

from nova_qos.core.errors import ApiRefused, NoSuchPolicy, NotInstalled
from nova_qos.core.policy import Catalog, Value
from nova_qos.resources import POLICIES_PATH
from nova_qos.response import message_of, parsed, refusal, require_body

_ABSENT = "this API has no named policies; upgrade it"
_NO_CONTENT = 204
_NUMBER = re.compile(r"[0-9]{1,15}", re.ASCII)


class Adapter(Protocol):
    """The part of keystoneauth1's Adapter that is used; each answers a ``requests.Response``."""

    def get(self, url: str, **kwargs: Any) -> Any:
        """Send a GET."""

    def post(self, url: str, **kwargs: Any) -> Any:
        """Send a POST."""

    def put(self, url: str, **kwargs: Any) -> Any:
        """Send a PUT."""

    def delete(self, url: str, **kwargs: Any) -> Any:
        """Send a DELETE."""


class Policy(TypedDict):
    """A policy; ``settings`` by resource: a number in the resource's unit, or a relative value such
    as "75%". ``projects``, ids, are there for administrators."""

    id: str
    name: str
    description: str
    settings: dict[str, Value]
    revision: int
    is_default: bool
    projects: NotRequired[list[str]]


class InUse(TypedDict):
    """How many use a policy; ``incomplete``: a cell does not answer, there may be more."""

    servers: int
    flavors: int
    projects: int
    incomplete: bool


class UsedBy(TypedDict):
    """Who uses a policy: servers, each with its ``id`` and ``host``, names of flavors, and ids of
    projects."""

    servers: list[dict[str, Any]]
    flavors: list[str]
    projects: list[str]


@dataclass(frozen=True)
class Seen:
    """A policy as it was read; ``in_use`` and ``used_by`` are None where the API does not say."""

    policy: Policy
    etag: str | None
    in_use: InUse | None
    used_by: UsedBy | None

    @property
    def condition(self) -> str:
        """The If-Match of a change to just this revision.

        :raises ApiRefused: the answer had no ETag of ours
        """
        # a proxy that compresses changes an ETag, so the revision is taken from the body
        revision = self.policy["revision"]
        found = re.fullmatch(rf'(?:W/)?"(.+)-{revision}(?:[-;].+)?"', self.etag or "")
        if found is None:
            raise ApiRefused(
                f"policy {self.policy['name']!r} cannot be changed safely: the API's answer has "
                f"the ETag {self.etag or 'none'}. Does a proxy remove or replace it?", 200)
        return f'"{found[1]}-{revision}"'


class Policies:
    """Gets, creates, changes, deletes and assigns named policies."""

    def __init__(self, adapter: Adapter) -> None:
        self._adapter = adapter

    def list(self, name: str | None = None) -> list[Policy]:
        """All policies that the caller may see, or the one of this name regardless of case."""
        query = {} if name is None else {"name": name}
        found: list[Policy] = self._body(
            self._adapter.get(POLICIES_PATH, params=query, raise_exc=False))["policies"]
        return found

    def find(self, name_or_id: str) -> Policy:
        """The policy of that name or, where none has it, of that id.

        :raises NoSuchPolicy: there is none that the caller may see
        """
        for found in self.list(name_or_id):
            return found
        if _NUMBER.fullmatch(name_or_id):
            try:
                return self.get(name_or_id).policy
            except NotInstalled:
                raise
            except ApiRefused as error:
                if error.status != 404:
                    raise
        raise NoSuchPolicy(f"no policy has the name or ID {name_or_id!r}; "
                           "openstack server qos policy list shows those that there are")

    def get(self, policy_id: str, *, used_by: bool = False) -> Seen:
        """The policy of this id.

        :param used_by: also ask who uses it, for which the API asks every cell (for administrators)
        """
        query = {"in_use": "true"} if used_by else {}
        response = self._adapter.get(_path(policy_id), params=query, raise_exc=False)
        body = self._body(response)
        # counts are no part of what the ETag stands for, so they lie beside the policy
        return Seen(body["policy"], response.headers.get("ETag"), body.get("in_use"),
                    body.get("used_by"))

    def catalog(self) -> Catalog:
        """All policies and whose they are, as agents get them (for administrators)."""
        return Catalog.from_json(self._body(self._adapter.get(_path("for-agents"),
                                                              raise_exc=False)))

    def create(
        self, name: str, settings: Mapping[str, Value], *, description: str = "",
        is_default: bool = False,
    ) -> Policy:
        """A new policy of these settings; no other may have the name, or be the default."""
        body = {"name": name, "description": description, "settings": dict(settings),
                "is_default": is_default}
        made: Policy = self._body(self._adapter.post(
            POLICIES_PATH, json={"policy": body}, raise_exc=False))["policy"]
        return made

    def change(self, seen: Seen, **changes: Any) -> Policy:
        """Change ``description``, ``settings`` as a whole, or ``is_default`` of a policy that
        nobody else has changed since it was seen; else ``ApiRefused`` of status 412."""
        changed: Policy = self._body(self._adapter.put(
            _path(seen.policy["id"]), json={"policy": changes},
            headers={"If-Match": seen.condition}, raise_exc=False))["policy"]
        return changed

    def delete(self, policy_id: str) -> None:
        """Delete a policy that nobody uses."""
        self._body(self._adapter.delete(_path(policy_id), raise_exc=False))

    def add_project(self, policy_id: str, project: str) -> None:
        """Have the servers of a project, by id, get the policy, instead of another one."""
        self._body(self._adapter.put(_path(policy_id, "projects", project), raise_exc=False))

    def remove_project(self, policy_id: str, project: str) -> None:
        """Have the servers of a project, by id, get the policy no longer."""
        self._body(self._adapter.delete(_path(policy_id, "projects", project), raise_exc=False))

    def _body(self, response: Any) -> dict[str, Any]:
        body = parsed(response)
        if response.status_code < 400:
            if response.status_code != _NO_CONTENT:
                require_body(body, response, POLICIES_PATH)
            return body
        message, is_novas = message_of(body)
        if response.status_code == 404 and not is_novas:
            raise NotInstalled(_ABSENT, 404)
        raise refusal(response, message, POLICIES_PATH)


def _path(*parts: str) -> str:
    return "/".join((POLICIES_PATH, *(quote(part, safe="") for part in parts)))
