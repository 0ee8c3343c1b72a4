# SPDX-License-Identifier: Apache-2.0
"""Dry runs: of a set of servers, of a new or changed policy, and of its assignment to projects. All
need to see hosts, so they are for administrators."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from nova_qos.client import Listed
from nova_qos.client_policies import Seen
from nova_qos.core.policy import NONE_ID, NONE_NAME, Catalog, Value
from nova_qos.core.server import SavedServer
from nova_qos.dry_run import catalogs, foreseen, reach
from nova_qos.dry_run.cloud import Cloud, Facts, Place
from nova_qos.dry_run.forecast import Forecast
from nova_qos.dry_run.foreseen import Settings
from nova_qos.resources import TABLE


def of_set(
    cloud: Cloud, by_host: Mapping[str, Collection[str]], changes: Mapping[str, Settings],
    policy: str | None = None, *, unassigns: bool = False,
) -> Forecast:
    """Settings of some servers, and the same policy for all of them unless it is None.

    :param by_host: the ids of the servers of each host that are changed
    :param changes: by id, what is asked of each server itself; None unsets
    :param unassigns: the servers' own policies are unset
    """
    forecast = Forecast()
    asked = [item for each in changes.values() for item in each.items()]
    change = _Set.of(cloud, asked, policy, unassigns)
    for host, changed in by_host.items():
        facts = cloud.facts(host) if change.catalog is not None else {}
        found = cloud.qos.host(host)
        forecast.add(found, {
            each["id"]: change.then(each, changes[each["id"]], facts.get(each["id"]))
            for each in found.servers if each["id"] in changed}, changes)
    return forecast


@dataclass(frozen=True)
class _Set:
    """What is asked of all servers.

    ``keeps_reset``: this cloud has policies, so a setting of none is one of the server's own.
    ``catalog``: the policies, where others than now may decide. ``assigns``: they are set to the
    policy of number ``policy``, None for none, instead of the one that they have.
    """

    keeps_reset: bool
    catalog: Catalog | None = None
    assigns: bool = False
    policy: int | None = None

    @classmethod
    def of(
        cls, cloud: Cloud, asked: Sequence[tuple[str, int | None]], policy: str | None,
        unassigns: bool,
    ) -> "_Set":
        if policy is not None:
            number = NONE_ID if policy == NONE_NAME else int(cloud.policies.find(policy)["id"])
            return cls(True, cloud.policies.catalog(), True, number)
        if unassigns:
            return cls(True, cloud.policies.catalog(), True)
        unsets = any(value is None for _, value in asked)
        asks_none = any(value is not None and TABLE[name].value.is_reset(value)
                        for name, value in asked)
        if not ((asks_none or unsets) and cloud.has_policies):
            return cls(False)
        # what policies say comes to light where a server's own setting goes
        return cls(True, cloud.policies.catalog() if unsets else None)

    def then(self, server: Listed, settings: Settings, facts: Facts | None) -> SavedServer:
        """The server after the set."""
        after = foreseen.with_own(foreseen.listed(server), settings, self.keeps_reset)
        if self.catalog is None or facts is None:
            return after
        policy = self.policy if self.assigns else foreseen.policy_of(server)
        return foreseen.with_policies(after, facts, policy, self.catalog)


@dataclass
class PolicyRun:
    """A dry run of a change of policies; ``forecast`` shows the hosts on which servers change.

    ``elsewhere`` is how many servers that it may reach are on no host, of which nothing is shown.
    """

    forecast: Forecast = field(default_factory=Forecast)
    elsewhere: int = 0
    changed: int = 0

    @property
    def notes(self) -> Iterator[str]:
        """What is to be said beside the table, in sentences."""
        servers = "1 server" if self.changed == 1 else f"{self.changed} servers"
        yield f"{servers} would be changed; nothing was sent."
        yield from self.forecast.promises
        if self.elsewhere:
            yield (f"Not shown: {self.elsewhere} on no host, which change when they start.")


def of_policy(
    cloud: Cloud, say: Callable[[str], None], before: Seen, changes: Mapping[str, Any]
) -> PolicyRun:
    """What every server would get of a policy.

    :param say: is told how far it has come, "" at the end
    :param before: with those who use it
    :param changes: as ``Policies.change`` takes them
    :raises InvalidSetting: the API would refuse the settings
    :raises PolicyConflict: another policy is the default
    """
    catalog = catalogs.changed(cloud.policies.catalog(), before, changes)
    return _everywhere(
        cloud, say, reach.places(cloud, before, bool(changes.get("is_default"))), catalog)


def of_creation(
    cloud: Cloud, say: Callable[[str], None], name: str, settings: Mapping[str, Value],
    is_default: bool,
) -> PolicyRun:
    """What every server would get of a new policy, with the arguments of ``Policies.create``.

    :param say: as of ``of_policy``
    :raises InvalidSetting: the API would refuse the name or the settings
    :raises PolicyConflict: the name is taken, or another policy is the default
    """
    catalog = catalogs.created(cloud.policies.catalog(), name, settings, is_default)
    return _everywhere(cloud, say, reach.of_new(cloud, name, is_default), catalog)


def of_projects(
    cloud: Cloud, say: Callable[[str], None], policy_id: str, added: Collection[str],
    removed: Collection[str],
) -> PolicyRun:
    """What the servers of some projects would get when a policy is assigned to projects by their
    ids, and removed from others.

    :param say: as of ``of_policy``
    """
    catalog = catalogs.assigned(cloud.policies.catalog(), int(policy_id), added, removed)
    return _everywhere(cloud, say, reach.of_projects(cloud, [*added, *removed]), catalog)


def _everywhere(
    cloud: Cloud, say: Callable[[str], None], reached: Iterable[Place], catalog: Catalog
) -> PolicyRun:
    """What the servers that are reached would get of these policies."""
    places = list(reached)
    run = PolicyRun(elsewhere=len({each.server_id for each in places if each.host is None}))
    hosts = sorted({each.host for each in places if each.host is not None})
    try:
        for number, host in enumerate(hosts, 1):
            say(f"host {number} of {len(hosts)}: {host}")
            _add(run, cloud, host, catalog)
    finally:
        say("")
    return run


def _add(run: PolicyRun, cloud: Cloud, host: str, catalog: Catalog) -> None:
    facts, found = cloud.facts(host), cloud.qos.host(host)
    changed: dict[str, SavedServer] = {}
    for server in found.servers:
        mine, now = facts.get(server["id"]), foreseen.listed(server)
        if mine is not None:
            then = foreseen.with_policies(now, mine, foreseen.policy_of(server), catalog)
            if foreseen.changes(now, then, {}):
                changed[server["id"]] = then
    if changed:
        run.changed += len(changed)
        run.forecast.add(found, changed, {})
