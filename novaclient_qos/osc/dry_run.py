# SPDX-License-Identifier: Apache-2.0
"""Dry runs: of a set of servers, and of a change of a policy. Both need to see hosts, so they are
for administrators."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from osc_lib import exceptions

from nova_qos.client import Listed
from nova_qos.client_policies import Seen
from nova_qos.core.policy import NONE_ID, NONE_NAME, Catalog, Policy, check_settings
from nova_qos.core.server import SavedServer
from nova_qos.resources import TABLE
from novaclient_qos.osc import foreseen, reach
from novaclient_qos.osc.cloud import Cloud, Facts
from novaclient_qos.osc.forecast import Forecast
from novaclient_qos.osc.foreseen import Settings
from novaclient_qos.osc.several import Progress


def of_set(
    cloud: Cloud, names: Sequence[str], settings: Settings, policy: str | None
) -> Forecast:
    """The same settings on servers, and the same policy unless it is None.

    :raises CommandError: a server is on no host that the caller may see
    """
    by_host: dict[str, set[str]] = {}
    for name in names:
        server_id, host = cloud.find_with_host(name)
        if host is None:
            raise exceptions.CommandError(
                f"{name} is on no host, or you may not see which: a dry run needs to list the "
                "servers of its host, which is for administrators.")
        by_host.setdefault(host, set()).add(server_id)
    change, forecast = _Set.of(cloud, settings, policy), Forecast()
    for host, changed in by_host.items():
        facts = cloud.facts(host) if policy is not None else {}
        found = cloud.qos.host(host)
        forecast.add(found, {
            each["id"]: change.then(each, facts.get(each["id"]))
            for each in found.servers if each["id"] in changed}, settings)
    return forecast


@dataclass(frozen=True)
class _Set:
    """What is asked of each server. ``policy`` is the number of the one that it is set to; without
    a ``catalog`` its policies stay. ``keeps_reset``: this cloud has policies, so a setting of none
    is one of the server's own."""

    settings: Settings
    keeps_reset: bool
    policy: int | None = None
    catalog: Catalog | None = None

    @classmethod
    def of(cls, cloud: Cloud, settings: Settings, policy: str | None) -> "_Set":
        if policy is not None:
            number = NONE_ID if policy == NONE_NAME else int(cloud.policies.find(policy)["id"])
            return cls(settings, True, number, cloud.policies.catalog())
        asks_none = any(value is not None and TABLE[name].value.is_reset(value)
                        for name, value in settings.items())
        return cls(settings, asks_none and cloud.has_policies)

    def then(self, server: Listed, facts: Facts | None) -> SavedServer:
        """The server after the set."""
        after = foreseen.with_own(foreseen.listed(server), self.settings, self.keeps_reset)
        if self.catalog is None or facts is None:
            return after
        return foreseen.with_policies(after, facts, self.policy, self.catalog)


@dataclass
class PolicyRun:
    """A dry run of a change of a policy; ``forecast`` shows the hosts on which servers change.

    ``elsewhere`` is how many servers of the policy are on no host, of which nothing is shown.
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
            yield (f"Not shown: {self.elsewhere} on no host, which get the policy where they "
                   "start.")


def of_policy(
    cloud: Cloud, progress: Progress, before: Seen, changes: Mapping[str, Any]
) -> PolicyRun:
    """What every server would get of a policy.

    :param before: with those who use it
    :param changes: as ``Policies.change`` takes them
    :raises InvalidSetting: the API would refuse the settings
    :raises CommandError: another policy is the default
    """
    known = cloud.policies.catalog()
    catalog = _changed(known, before, changes)
    places = list(reach.places(cloud, before, bool(changes.get("is_default"))))
    run = PolicyRun(elsewhere=len({each.server_id for each in places if each.host is None}))
    hosts = sorted({each.host for each in places if each.host is not None})
    try:
        for number, host in enumerate(hosts, 1):
            progress.say(f"host {number} of {len(hosts)}: {host}")
            _add(run, cloud, host, catalog)
    finally:
        progress.say("")
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


def _changed(known: Catalog, before: Seen, changes: Mapping[str, Any]) -> Catalog:
    """The catalog after the change of a policy, checked as the API does."""
    number, policy = int(before.policy["id"]), before.policy
    settings = changes.get("settings", policy["settings"])
    # a newer cloud may know more resources than this client
    check_settings(TABLE, {name: value for name, value in settings.items() if name in TABLE})
    default = known.default
    if changes.get("is_default"):
        if default not in (None, number):
            raise exceptions.CommandError(
                f"policy {known.policies[default].name} is the default policy, and there can be "
                "one; openstack server qos policy set --no-default ends that.")
        default = number
    elif default == number and "is_default" in changes:
        default = None
    made = Policy(number, policy["name"], settings, policy["revision"] + 1)
    return replace(known, policies={**known.policies, number: made}, default=default)
