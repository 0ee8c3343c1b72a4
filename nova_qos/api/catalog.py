# SPDX-License-Identifier: Apache-2.0
"""The named policies, as this process has them from their database."""

import functools
import time
from dataclasses import dataclass

from nova import conf as nova_conf

from nova_qos.core import errors
from nova_qos.core.policy import Catalog
from nova_qos.policies.store import Store


@functools.cache
def store() -> Store:
    """The store of policies: one a process. Nothing is opened before it is used, since the process
    may fork."""
    return Store(nova_conf.CONF)


@dataclass(frozen=True)
class _Away:
    """That a database did not answer, and until when (monotonic) that counts."""

    store: Store
    message: str
    until: float


_away: _Away | None = None


def catalog() -> Catalog:
    """All policies as they are now; one small query where nothing has changed since the last call.

    A database that kept its caller waiting in vain is not asked again for as long: else each
    request that merely shows a server would wait, too.

    :raises NoDatabase: none is configured, or it cannot be used
    :raises DatabaseAway: it does not answer
    """
    global _away
    away, now = _away, time.monotonic()
    if away is not None and away.store is store() and now < away.until:
        raise errors.DatabaseAway(away.message)
    try:
        return store().catalog()
    except errors.DatabaseAway as error:
        ended = time.monotonic()
        _away = _Away(store(), error.message, ended + (ended - now))
        raise
