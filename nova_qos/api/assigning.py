# SPDX-License-Identifier: Apache-2.0
"""What the policies of servers come to, as the API's database has them."""

from collections.abc import Callable
from dataclasses import replace

from nova_qos.api.catalog import catalog
from nova_qos.core import assignment, errors
from nova_qos.core.policy import NONE_ID, NONE_NAME
from nova_qos.core.server import SavedServer
from nova_qos.core.source import Assigned
from nova_qos.resources import TABLE

Assigner = Callable[[SavedServer], SavedServer]


def assigner() -> Assigner:
    """What fills in the policies of servers, with those of now. Where their database does not
    answer, each server says so."""
    try:
        known = catalog()
    except errors.NoDatabase:
        return lambda server: server
    except errors.DatabaseAway as error:
        missing = Assigned(missing=error.message)
        return lambda server: replace(server, assigned=missing)
    return lambda server: replace(server, assigned=assignment.assigned(known, TABLE, server))


def number_of(policy: object) -> int | None:
    """The number of the policy that a request names, by its name or its id; null unsets.

    :raises InvalidSetting: there is none
    :raises NoDatabase, DatabaseAway: nobody can tell
    """
    if policy is None:
        return None
    if policy == NONE_NAME:
        return NONE_ID
    known, text = catalog(), str(policy)
    found = known.named(text)
    if found is None and text.isascii() and text.isdigit():
        found = known.policies.get(int(text))
    if found is None:
        raise errors.InvalidSetting(
            f"policy: there is no policy {text[:60]!r}; "
            "openstack server qos policy list shows them all")
    return found.number
