# SPDX-License-Identifier: Apache-2.0
"""Compares what the host holds with what the API says was requested."""

import time
from collections.abc import Sequence

from tests.cloud.api import Person
from tests.cloud.host import Observer
from tests.cloud.values import held
from tests.soak.customer import Customer
from tools.bed.errors import TestbedError

#: Server, resource, requested, what get-qos says is applied, its state, what the host holds.
Difference = tuple[str, str, object, object, object, object]
HEADS = ("server", "resource", "requested", "applied", "state", "host: virsh, cgroup, tc, nft")


def differences(admin: Person, host: Observer, customer: Customer) -> list[Difference]:
    """Where the API, the host and what was promised do not agree."""
    status, qos = admin.act(customer.server, "get-qos")
    if status != 200:
        return [(customer.name, "all", "", "", status, qos)]
    try:
        on_host = held(host, customer.server)
    except (OSError, AssertionError, TestbedError) as error:
        return [(customer.name, "all", "", "", "", str(error)[:80])]
    found: list[Difference] = []
    for name, row in ((name, qos[name]) for name in on_host):
        requested = row["requested"]
        wanted = row["default"] if requested is None else requested
        told = (row["requested"], row["applied"], row["state"])
        state = "unset" if requested is None else "applied"
        if on_host[name] != wanted or told != (requested, wanted, state):
            found.append((customer.name, name, *told, f"{on_host[name]} ({row['reason']})"))
        promised = customer.promised.get(name, {None})
        if requested not in promised:
            found.append((customer.name, name, *told, f"promised: {sorted(map(str, promised))}"))
    return found


def settled(
    admin: Person, host: Observer, customers: Sequence[Customer], seconds: float
) -> list[Difference]:
    """The differences that are left when all is quiet, at the latest after so many seconds."""
    give_up = time.monotonic() + seconds
    while True:
        left = [each for customer in customers for each in differences(admin, host, customer)]
        if not left or time.monotonic() > give_up:
            return left
        time.sleep(1)
