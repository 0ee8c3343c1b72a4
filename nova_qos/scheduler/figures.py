# SPDX-License-Identifier: Apache-2.0
"""What hosts have left to guarantee, as nova's scheduler knows it: fetched in the background, so
that no server ever waits for it, and forgotten when it is old."""

import functools
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from nova import conf as nova_conf
from oslo_config import cfg
from oslo_log import log

from nova_qos import conf
from nova_qos.agent.fetching import Fetcher
from nova_qos.client_hosts import HostState
from nova_qos.core import assignment, desired, errors
from nova_qos.core.contention import FAMILIES
from nova_qos.core.policy import Catalog
from nova_qos.core.server import SavedServer
from nova_qos.nova_api import NovaApi
from nova_qos.resources import HOSTS_PATH, TABLE
from nova_qos.response import message_of, parsed

LOG = log.getLogger(__name__)
#: Figures do not count any more when they are so many intervals old.
_OLD = 5


@dataclass(frozen=True)
class Known:
    """All hosts by name, as their agents told of them, and the named policies."""

    hosts: Mapping[str, HostState]
    catalog: Catalog


def guaranteed(server: SavedServer, catalog: Catalog) -> dict[str, int]:
    """What a server is to be guaranteed, by family, as far as its flavor, its project and the
    default policy say; those of nothing are left out."""
    assigned = replace(server, assigned=assignment.assigned(catalog, TABLE, server))
    targets = desired.resolve(TABLE, assigned)
    return {family.name: value for family in FAMILIES
            if (value := targets[family.guarantee].value) > 0}


def fits(state: HostState, wanted: Mapping[str, int]) -> bool:
    """Whether a host can guarantee that beside what it has guaranteed."""
    return all(
        use.capacity is not None and (use.guaranteed or 0) + amount <= use.capacity
        for use, amount in ((state.uses[family], amount) for family, amount in wanted.items()))


class Figures:
    """The last figures; used by many threads."""

    def __init__(
        self, fetch: Callable[[], Known], interval_s: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._fetch, self._interval_s, self._clock = fetch, interval_s, clock
        self._lock = threading.Lock()
        self._known: Known | None = None
        self._known_s = self._asked_s = -float("inf")
        self._is_asking = False

    def known(self) -> Known | None:
        """What is known, None where that is too old or nothing; returns at once, and has it fetched
        anew where it is time."""
        with self._lock:
            now_s = self._clock()
            if not self._is_asking and now_s - self._asked_s >= self._interval_s:
                self._is_asking, self._asked_s = True, now_s
                threading.Thread(target=self._ask, name="qos-figures", daemon=True).start()
            return self._known if now_s - self._known_s < _OLD * self._interval_s else None

    def _ask(self) -> None:
        found: Known | None = None
        try:
            found = self._fetch()
        except errors.QosError as error:
            LOG.warning("nova-qos: guarantees of hosts are not known: %s", error)
        except Exception:
            LOG.exception("nova-qos: guarantees of hosts are not known")
        with self._lock:
            self._is_asking = False
            if found is not None:
                self._known, self._known_s = found, self._clock()


class Fetch:
    """Asks nova's API, with the credentials that agents use."""

    def __init__(self, options: cfg.ConfigOpts) -> None:
        self._api, self._policies = NovaApi(options), Fetcher(options)
        self._old_s: int = _OLD * options.nova_qos.scheduler_interval

    def __call__(self) -> Known:
        """All that there is to know.

        :raises QosError: the API does not answer, or refuses
        """
        hosts = _hosts(self._api.get(HOSTS_PATH))
        try:
            catalog = self._policies(Catalog(), None) or Catalog()
        except errors.NoDatabase:
            catalog = Catalog()
        # the API keeps the last answers of agents that are away
        return Known({each.name: each for each in hosts if (each.age_s or 0) <= self._old_s},
                     catalog)


def _hosts(response: Any) -> list[HostState]:
    body = parsed(response)
    if response.status_code != 200:
        raise errors.Unreachable(
            f"{HOSTS_PATH} is answered {response.status_code}: {message_of(body)[0][:300]}")
    try:
        return [HostState.of(each) for each in body["hosts"]]
    except (KeyError, TypeError, AttributeError) as error:
        raise errors.Unreachable(f"{HOSTS_PATH} is answered with no list of hosts") from error


@functools.cache
def figures() -> Figures:
    """Those of this process, by nova.conf."""
    conf.register(nova_conf.CONF)
    return Figures(Fetch(nova_conf.CONF), nova_conf.CONF.nova_qos.scheduler_interval)
