# SPDX-License-Identifier: Apache-2.0
"""What the policies of servers come to, as the API's database has them."""

import contextlib
from dataclasses import replace

from nova_qos.api.catalog import catalog, store
from nova_qos.core import assignment, errors
from nova_qos.core.known import Copy, Known
from nova_qos.core.policy import NONE_ID, NONE_NAME, Catalog
from nova_qos.core.server import SavedServer
from nova_qos.core.source import Assigned
from nova_qos.resources import TABLE


class Assigner:
    """The policies for one request, as they are when it needs them first: the database is asked
    once, whatever the number of servers."""

    def __init__(self) -> None:
        self._found: Catalog | errors.QosError | None = None

    @property
    def has_policies(self) -> bool:
        """Whether this cloud has named policies, also while their database is away."""
        return store().is_configured

    def __call__(self, server: SavedServer) -> SavedServer:
        """The server with what its policies come to; where their database cannot be used, it says
        so."""
        if not self.has_policies:
            return server
        found = self._asked
        if isinstance(found, Catalog):
            return replace(server, assigned=assignment.assigned(found, TABLE, server))
        # whatever there is in the database, nothing of it reaches one that opted out
        missing = None if server.policy == NONE_ID else found.message
        return replace(server, assigned=Assigned(missing=missing))

    def number_of(self, policy: object) -> int | None:
        """The number of the policy that a request names, by its name or its id; null unsets.

        :raises InvalidSetting: there is none
        :raises NoDatabase, DatabaseAway: nobody can tell
        """
        if policy is None:
            return None
        if policy == NONE_NAME:
            return NONE_ID
        known, text = self._catalog(), str(policy)
        found = known.named(text)
        if found is None and text.isascii() and text.isdigit():
            found = known.policies.get(int(text))
        if found is None:
            raise errors.InvalidSetting(
                f"policy: there is no policy {text[:60]!r}; "
                "openstack server qos policy list shows them all")
        return found.number

    def name_of(self, number: int | None) -> str | None:
        """How people call what ``number_of`` answered."""
        if number is None:
            return None
        return NONE_NAME if number == NONE_ID else self._catalog().policies[number].name

    def known(self, copy: Copy | None = None) -> Known:
        """What reports need besides.

        :param copy: the host's, where its agent was asked and has answered
        """
        if not self.has_policies:
            return Known()
        return Known(self._asked if isinstance(self._asked, Catalog) else None, copy)

    def _catalog(self) -> Catalog:
        found = self._asked
        if isinstance(found, Catalog):
            return found
        # a new one, since this one may be raised for several servers
        raise type(found)(found.message)

    @property
    def _asked(self) -> Catalog | errors.QosError:
        if self._found is None:
            try:
                self._found = catalog()
            except (errors.NoDatabase, errors.DatabaseAway) as error:
                self._found = error
        return self._found


def require_still_there(number: int | None) -> None:
    """Refuse to save of a server a policy that was deleted since it was looked up.

    :raises PolicyConflict: it was
    """
    if number is None or number == NONE_ID:
        return
    # while the database is away nobody deletes one either
    with contextlib.suppress(errors.NoDatabase, errors.DatabaseAway):
        if number not in catalog().policies:
            raise errors.PolicyConflict(
                "policy: it was deleted just now, so nothing was changed; openstack server qos "
                "policy list shows those that there are")
