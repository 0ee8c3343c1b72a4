# SPDX-License-Identifier: Apache-2.0
"""A strategy of Watcher: the moves that relieve hosts, planned as ``openstack server qos relieve``
plans them, as actions of Watcher's own."""

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import Any

from oslo_log import log
from watcher.common import exception
from watcher.decision_engine.strategy.strategies import base

from nova_qos.client_relief import missing_words
from nova_qos.core.moves import Move, Plan
from nova_qos.watcher import limits
from nova_qos.watcher.cloud import FAILURES, Cloud
from nova_qos.watcher.goal import NAME
from nova_qos.watcher.limits import Scope

LOG = log.getLogger(__name__)
#: For how many hours a migration that has failed is not planned again.
_FORGET_H = 24
#: What the column of Watcher's database takes.
_MESSAGE_CHARS = 255
_NAMES = {"type": "array", "items": {"type": "string", "minLength": 1}, "default": []}


class Relief(base.BaseStrategy):
    """Moves servers away from hosts that are short, until what is left fits."""

    def __init__(self, config: Any, osc: Any = None) -> None:
        super().__init__(config, osc)
        self._short: list[str] = []
        self._planned = Plan()

    @classmethod
    def get_name(cls) -> str:
        """As audits name it."""
        return NAME

    @classmethod
    def get_goal_name(cls) -> str:
        """The goal that it is for."""
        return NAME

    @classmethod
    def get_display_name(cls) -> str:
        """As it is shown."""
        return cls.get_translatable_display_name()

    @classmethod
    def get_translatable_display_name(cls) -> str:
        """As it is shown, in English."""
        return "Relief of hosts that are short, with the fewest MiB to copy"

    @classmethod
    def get_config_opts(cls) -> list[Any]:
        """None: it needs no datasource."""
        return []

    @classmethod
    def get_schema(cls) -> dict[str, Any]:
        """The parameters of an audit."""
        return {"properties": {
            "hosts": {**_NAMES, "description": "Compute hosts to relieve; all that are short "
                                               "where none is named."},
            "to": {**_NAMES, "description": "Compute hosts that servers may be moved to; all where "
                                            "none is named."},
            "cold": {"type": "boolean", "default": False,
                     "description": "Stop the guests for the moves."},
            "forget_failures_after": {
                "type": "integer", "minimum": 0, "default": _FORGET_H,
                "description": "Hours for which a migration of Watcher that has failed, of this "
                               "server to this host, is not planned again."}}}

    def pre_execute(self) -> None:
        """Do not wait for Watcher's model of the cloud, which only an audit with a scope needs."""

    def do_execute(self, audit: Any = None) -> None:
        """Plan, and say in the audit's status message what came of it.

        :raises WatcherException: why there can be no plan
        """
        try:
            said = self._plan()
        except (*FAILURES, exception.WatcherException) as error:
            self._say(audit, " ".join(str(error).split()))
            raise exception.WatcherException(message=str(error)) from error
        self._say(audit, said)

    def post_execute(self) -> None:
        """Tell what the plan costs, and how many hosts it relieves."""
        self.solution.set_efficacy_indicators(
            hosts_short=len(self._short),
            hosts_relieved=len(self._short) - len(self._planned.missing),
            instance_migrations_count=len(self._planned.moves),
            migrated_mib=self._planned.cost_mib)

    def _plan(self) -> str:
        wanted, to = (self._asked(name, []) for name in ("hosts", "to"))
        cloud = Cloud.asked(self._scope(), limits.failed(
            self.ctx, timedelta(hours=self._asked("forget_failures_after", _FORGET_H))))
        cloud.require(wanted)
        cloud.require(to)
        self._short = cloud.short(wanted)
        self._planned = cloud.plan(self._short, to) if self._short else Plan()
        for move in in_turns(self._planned.moves):
            self._add(cloud, move)
        return outcome(self._short, self._planned, cloud.silent())

    def _asked(self, name: str, default: Any) -> Any:
        return self.input_parameters.get(name, default)

    def _scope(self) -> Scope:
        return Scope.of(self.compute_model) if self.audit_scope else Scope()

    def _add(self, cloud: Cloud, move: Move) -> None:
        key = move.server.key
        self.solution.add_action(
            action_type=self.MIGRATION, resource_id=key, input_parameters={
                "migration_type": "cold" if self._asked("cold", False) else "live",
                "source_node": move.source, "destination_node": move.target,
                "resource_name": cloud.placed(move.source, key).name or key})

    def _say(self, audit: Any, said: str) -> None:
        LOG.info("nova-qos: %s", said)
        if audit is not None:
            # saved with the state in which the audit ends
            audit.status_message = said[:_MESSAGE_CHARS]


def in_turns(moves: Iterable[Move]) -> list[Move]:
    """The first move of each host, then the second of each: Watcher makes several at a time, and
    nova lets a host send one server at a time."""
    seen: Counter[str] = Counter()
    places = []
    for move in moves:
        places.append((seen[move.source], move))
        seen[move.source] += 1
    return [move for _place, move in sorted(places, key=lambda each: each[0])]


def outcome(short: Sequence[str], plan: Plan, silent: Sequence[str]) -> str:
    """What a plan comes to, in words."""
    parts = [_of_plan(short, plan)]
    if silent:
        parts.append(f"Nobody tells of {', '.join(silent)}.")
    return " ".join(parts)


def _of_plan(short: Sequence[str], plan: Plan) -> str:
    if not short:
        return "No host is short."
    left = ", ".join(f"{name} of {missing_words(missing)}"
                     for name, missing in sorted(plan.missing.items()))
    if not plan.moves:
        return f"No server that would help can move to another host. Short stay: {left}."
    count = len(plan.moves)
    done = f"{count} {'moves' if count > 1 else 'move'} of {plan.cost_mib} MiB in all"
    relieved = [name for name in short if name not in plan.missing]
    if relieved:
        done += f" {'relieve' if count > 1 else 'relieves'} {', '.join(relieved)}"
    return f"{done}. Short stay: {left}." if left else f"{done}."
