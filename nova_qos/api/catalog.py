# SPDX-License-Identifier: Apache-2.0
"""The named policies, as this process has them from their database."""

import functools

from nova import conf as nova_conf

from nova_qos.core.policy import Catalog
from nova_qos.policies.store import Store


@functools.cache
def store() -> Store:
    """The store of policies: one a process. Nothing is opened before it is used, since the process
    may fork."""
    return Store(nova_conf.CONF)


def catalog() -> Catalog:
    """All policies as they are now; one small query where nothing has changed since the last call.

    :raises NoDatabase: none is configured, or it cannot be used
    :raises DatabaseAway: it does not answer
    """
    return store().catalog()
