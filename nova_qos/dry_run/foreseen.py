# SPDX-License-Identifier: Apache-2.0
"""What a server of a list is to hold, and what it would be to hold after a change."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from nova_qos.client import Listed
from nova_qos.core import assignment, desired
from nova_qos.core.desired import Target
from nova_qos.core.policy import NONE_ID, NONE_NAME, Catalog
from nova_qos.core.report import UNKNOWN
from nova_qos.core.resource import Resource
from nova_qos.core.server import POLICY, Flavor, SavedServer
from nova_qos.core.source import DEFAULT, HOOK, SERVER, Assigned, Layer, Source
from nova_qos.dry_run.cloud import Facts
from nova_qos.resources import TABLE
from nova_qos.words import in_words

#: What is asked of a server itself, by resource; None unsets.
Settings = Mapping[str, int | None]
_DEFAULT_POLICY, _POLICY = "default policy ", "policy "
_KEPT = Source("policy", "that is not known now")


def listed(server: Listed) -> SavedServer:
    """The server with what decides each resource now, of its source, as the list of its host tells
    it. Of what is overruled, only what a hook gave is told, and which policies these are is not."""
    by_source: dict[Source, dict[str, int]] = {}
    for name in TABLE:
        report = server["qos"].get(name, {})
        # of what is not known, the host keeps what it has
        is_known = report.get("source") != UNKNOWN
        value = report.get("requested" if is_known else "applied")
        if value is not None:
            by_source.setdefault(_source(report) if is_known else _KEPT, {})[name] = int(value)
    own, hooked = by_source.pop(SERVER, {}), by_source.pop(HOOK, {})
    # an older API tells of it no more than where it decides
    hooked |= {name: value for name, value in server.get("hook", {}).items() if name in TABLE}
    layers = tuple(Layer(source, settings) for source, settings in by_source.items())
    flavor = Flavor(server["memory_mib"] or 0, vcpus=server["vcpus"] or 0)
    return SavedServer(server["id"], server["host"], None, flavor, own=own, hooked=hooked,
                       assigned=Assigned(layers))


def policy_of(server: Listed) -> int | None:
    """The number of the policy that the server is set to."""
    policy = server.get("policy")
    if policy is None:
        return None
    return NONE_ID if policy == NONE_NAME else int(policy)


def with_own(server: SavedServer, settings: Settings, keeps_reset: bool) -> SavedServer:
    """The server after a set.

    :param keeps_reset: this cloud has policies, which a setting of none overrules
    """
    kept: dict[str, int] = {}
    for name, value in settings.items():
        if value is not None and (keeps_reset or not TABLE[name].value.is_reset(value)):
            kept[name] = value
    own = {name: value for name, value in server.own.items() if name not in settings}
    hooked = {name: value for name, value in server.hooked.items() if name not in settings}
    return replace(server, own={**own, **kept}, hooked=hooked)


def with_policies(
    server: SavedServer, facts: Facts, policy: int | None, catalog: Catalog
) -> SavedServer:
    """The server with what policies come to for it.

    :param policy: the number of the one that it is set to
    """
    own = {name: value for name, value in server.own.items() if name != POLICY}
    if policy is not None:
        own[POLICY] = policy
    whole = replace(server, own=own, project=facts.project,
                    flavor=replace(server.flavor, policy=facts.policy))
    return replace(whole, assigned=assignment.assigned(catalog, TABLE, whole))


def wanted(targets: Mapping[str, Target]) -> dict[str, int | None]:
    """By resource what a host is to hold, None where nobody asks for anything."""
    return {name: None if each.source == DEFAULT or TABLE[name].value.is_reset(each.value)
            else each.value for name, each in targets.items()}


def changes(now: SavedServer, then: SavedServer, asked: Settings) -> str:
    """How the targets of a server differ, in words; also of what is ``asked`` of it and stays."""
    before, after = desired.resolve(TABLE, now), desired.resolve(TABLE, then)
    named = [*asked, *(name for name in TABLE if name not in asked)]
    return ", ".join(filter(None, (
        _change(TABLE[name], before[name], after[name], name in asked) for name in named)))


def _change(row: Resource, before: Target, after: Target, is_asked: bool) -> str:
    if _seen(before) == _seen(after):
        return f"{row.name} {_word(row, before)}, as it is" if is_asked else ""
    same = before.source.words == after.source.words
    return f"{row.name} {_word(row, before, with_source=not same)} -> {_word(row, after)}"


def _seen(target: Target) -> tuple[object, ...]:
    # not the revision, which grows for all
    return target.requested, target.value, target.source.words


def _word(row: Resource, target: Target, with_source: bool = True) -> str:
    if target.requested is None:
        return "unset"
    notes = [target.source.words] if with_source and target.source != SERVER else []
    if target.is_reduced:
        how = "reduced" if target.value < target.requested else "raised"
        notes.append(f"{how} to {row.value.shown(target.value)}")
    value = str(in_words(row.value.shown(target.requested)))
    return f"{value} ({', '.join(notes)})" if notes else value


def _source(report: Mapping[str, Any]) -> Source:
    told, revision = report.get("source", SERVER.words), report.get("policy_revision")
    if told == HOOK.words:
        return HOOK
    for begin in (_DEFAULT_POLICY, _POLICY):
        if told.startswith(begin):
            return Source("policy", told.removeprefix(begin), revision, begin == _DEFAULT_POLICY)
    return SERVER
