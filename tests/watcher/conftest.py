# SPDX-License-Identifier: Apache-2.0
"""Watcher's decision engine in this process, with its real database and plug-ins."""

import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from watcher import objects
from watcher.common import context as watcher_context
from watcher.common import service
from watcher.conf import CONF
from watcher.db import migration
from watcher.decision_engine import sync
from watcher.decision_engine.audit.oneshot import OneShotAuditHandler

from nova_qos.watcher.goal import NAME
from tests.unit.agent.web import serving
from tests.watcher.cloud import Nova


@pytest.fixture(scope="session")
def nova() -> Iterator[Nova]:
    with serving() as web:
        found = Nova(web)
        web.endpoints = [("public", "one", "/v2.1")]
        web.nova = found.answer
        yield found


@pytest.fixture(scope="session")
def context(nova: Nova, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Of an administrator of Watcher, which knows the cloud."""
    place = tmp_path_factory.mktemp("watcher")
    file = place / "watcher.conf"
    file.write_text(
        f"[DEFAULT]\ntransport_url = fake:/\nstate_path = {place}\n"
        f"[database]\nconnection = sqlite:///{place}/watcher.db\n"
        f"[collector]\ncollector_plugins =\n[oslo_concurrency]\nlock_path = {place}\n"
        f"[watcher_clients_auth]\nauth_type = password\nauth_url = {nova.web.url}/v3\n"
        "username = watcher\npassword = secret\nproject_name = service\n"
        "user_domain_name = Default\nproject_domain_name = Default\n")
    arguments = ["watcher", "--config-file", str(file)]
    service.prepare_service(arguments, CONF)
    # migrations of Watcher do not run on SQLite
    migration.create_schema()
    sync.Syncer().sync()
    with pytest.MonkeyPatch.context() as patch:
        # 2026.1 reads the program's own arguments again with each plug-in that has options
        patch.setattr(sys, "argv", arguments)
        yield watcher_context.make_context(is_admin=True)


@pytest.fixture
def cloud(nova: Nova) -> Iterator[Nova]:
    """Without hosts, before and after."""
    yield nova
    nova.hosts, nova.fault, nova.disabled = [], None, set()


class Audited:
    """An audit after its end, with its action plan."""

    def __init__(self, context: Any, uuid: str) -> None:
        self.audit = objects.Audit.get_by_uuid(context, uuid)
        self.state, self.said = self.audit.state, self.audit.status_message
        self.plans = objects.ActionPlan.list(context, filters={"audit_uuid": uuid})
        self.actions = [action for plan in self.plans for action in objects.Action.list(
            context, filters={"action_plan_uuid": plan.uuid}, eager=True)]

    @property
    def moves(self) -> list[tuple[str, str, str]]:
        """The server, from where and to where of each action."""
        given = (each.input_parameters for each in self.actions)
        return [(each["resource_id"], each["source_node"], each["destination_node"])
                for each in given]


@pytest.fixture
def audit(context: Any, cloud: Nova) -> Callable[..., Audited]:
    """Has the decision engine carry out an audit with these parameters."""
    def carried_out(**parameters: Any) -> Audited:
        goal = objects.Goal.get_by_name(context, NAME)
        made = objects.Audit(
            context, name=f"audit-{len(objects.Audit.list(context))}", goal_id=goal.id,
            strategy_id=objects.Strategy.get_by_name(context, NAME).id, audit_type="ONESHOT",
            state="PENDING", parameters=parameters, scope=[], auto_trigger=False, force=False)
        made.create()
        OneShotAuditHandler().execute(made, context)
        return Audited(context, made.uuid)

    return carried_out
