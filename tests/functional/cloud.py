# SPDX-License-Identifier: Apache-2.0
"""A real nova in this process: API, conductor, scheduler, computes and our agents.

Of nova, only what its own published fixtures replace is not real: the message bus, the
database (SQLite), keystone, glance, neutron and the hypervisor. Of ours, only the host is not.
"""

import json
import shutil
import sys
import time
import warnings
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import fixtures
import nova.conf
from nova import context
from nova.tests.fixtures import RealPolicyFixture
from nova.tests.functional import integrated_helpers
from sqlalchemy.exc import SADeprecationWarning

from nova_qos import conf
from nova_qos.agent.balance.given import Given
from nova_qos.agent.copy import Policies
from nova_qos.agent.hooks import Hook, Hooks
from nova_qos.agent.service import AgentManager
from nova_qos.bus import wire
from nova_qos.cmd import paste
from nova_qos.core import errors
from nova_qos.core.policy import Catalog
from nova_qos.instances import settings
from nova_qos.resources import POLICIES_PATH, TABLE
from tests.fakehost import FakeDomain, FakeHost
from tests.functional.caller import ADMIN, SERVICE
from tests.functional.threads import sleep_until_there_is_work
from tests.functional.values import FLAVOR_MIB, UNSET
from tests.pace import eventually

CONF = nova.conf.CONF
STORED = {row.names.stored_as: row.name for row in TABLE.values()}
#: The hosts by name: what their agents find there.
MACHINES: dict[str, "Machine"] = {}
#: What all agents call for new servers.
HOOKS: dict[str, Hook] = {}
# all tests need the first server, and a busy machine takes its time to start it
_PATIENCE_S = 60.0


class Machine(FakeHost):
    """A host where something else can happen just when our agent begins its work."""

    def __init__(self) -> None:
        super().__init__()
        self.before_domain: Callable[[], object] | None = None

    def domain(self, server_uuid: str) -> FakeDomain:
        happens, self.before_domain = self.before_domain, None
        if happens is not None:
            happens()
        return super().domain(server_uuid)


#: The fixture ``as_agent_begins``.
AsAgentBegins = Callable[["Server", Callable[[], object]], None]
#: Between two requests: the nova that is waited for runs in this process, too.
ASKED_EACH_S = 0.05


class FakeAgent(AgentManager):
    """The agent of a host in memory; nova's service makes it by name."""

    def __init__(self, host: str) -> None:
        super().__init__(host, MACHINES[host], CONF, Hooks(HOOKS, CONF), fetch)

    @property
    def policies(self) -> Policies:
        """Its copy of the policies."""
        return self._policies

    @property
    def given(self) -> Given:
        """What its balancer gives."""
        return self._balancer.given


def fetch(known: Catalog, etag: str | None) -> Catalog | None:
    """As an agent asks the API, without keystone; an API without policies has an empty catalog, so
    that nothing of one test is left for the next."""
    answer = SERVICE.request("GET", f"{POLICIES_PATH}/for-agents", None,
                             {"If-None-Match": etag} if etag else {})
    if answer.status in (304, 501):
        return None if answer.status == 304 else Catalog()
    if answer.status != 200:
        raise errors.Unreachable(str(answer))
    return Catalog.from_json(answer.body)


class Server:
    """A server that nova runs, as nova keeps it and as its host holds it."""

    def __init__(self, uuid: str, host: str) -> None:
        self.uuid = uuid
        self.machine = MACHINES[host]
        self.machine.add(uuid, FLAVOR_MIB * 1024)

    @property
    def domain(self) -> FakeDomain:
        return self.machine.domains[self.uuid]

    def instance(self) -> Any:
        """nova's object, loaded anew."""
        return settings.load(context.get_admin_context(), self.uuid)

    def saved(self) -> dict[str, int]:
        """The settings in the database, read without the code under test."""
        kept = self.instance().system_metadata
        return {STORED[key]: int(value) for key, value in kept.items()
                if key in STORED and value != "lifted"}

    def held(self) -> dict[str, int]:
        """What the host holds, and what is saved of resources that no object holds, in the API's
        units."""
        kept = self.instance().system_metadata
        saved = {name: kept.get(row.names.stored_as, "") for name, row in TABLE.items()
                 if row.knob is None}
        return {**self.domain.held(), **{
            name: int(value) if value.isdigit() else UNSET[name] for name, value in saved.items()}}

    def lifted(self) -> set[str]:
        """What is unset but still to be taken off the host, likewise."""
        kept = self.instance().system_metadata
        return {STORED[key] for key, value in kept.items() if key in STORED and value == "lifted"}

    def unrelated(self) -> dict[str, str]:
        """All that nova itself keeps in the same place."""
        kept = self.instance().system_metadata
        return {key: value for key, value in kept.items() if not key.startswith("qos:")}

    def change(self, **fields: Any) -> None:
        """Change nova's object as some other part of nova would."""
        instance = self.instance()
        for name, value in fields.items():
            setattr(instance, name, value)
        instance.save()

    def keep(self, **settings: int) -> None:
        """Put settings into the database by hand, as if they had been set last."""
        instance = self.instance()
        for name, value in settings.items():
            instance.system_metadata[TABLE[name].names.stored_as] = str(value)
        self._stamp(instance, settings)
        instance.save()

    def _stamp(self, instance: Any, names: Iterable[str]) -> None:
        for name in names:
            key = settings.KEYS[name] + "@"
            instance.system_metadata[key] = str(int(time.time() * 1000))

    def reset(self) -> None:
        """A running, unlocked server without settings."""
        instance = self.instance()
        for key in [key for key in instance.system_metadata if key.startswith("qos:")]:
            del instance.system_metadata[key]
        # its earlier actions tell of settings that are no more
        self._stamp(instance, settings.KEYS)
        instance.task_state, instance.locked, instance.locked_by = None, False, None
        instance.save()
        self.machine.away = False
        self.restart()

    def arrive(self, host: str, keeping: tuple[str, ...] = ()) -> None:
        """Its domain ends here and starts on another host, where it keeps nothing but the named
        attributes."""
        before = self.machine.domains.pop(self.uuid)
        self.machine.happened(self.uuid, "ended")
        self.machine = MACHINES[host]
        domain = self.machine.add(self.uuid, FLAVOR_MIB * 1024)
        for name in keeping:
            setattr(domain, name, getattr(before, name))
        self.machine.happened(self.uuid, "started")

    def restart(self) -> FakeDomain:
        """Another domain, as after a stop and a start: nothing of what was set is left."""
        self.machine.happened(self.uuid, "ended")
        domain = self.machine.add(self.uuid, FLAVOR_MIB * 1024)
        self.machine.happened(self.uuid, "started")
        return domain


class Cloud(integrated_helpers._IntegratedTestBase):
    """Hosts "compute" and "second" have an agent, "silent" never had one, "halted" had one that
    stopped."""

    __test__ = False
    #: One of those that nova's GlanceFixture has.
    IMAGE = "155d900f-4e14-4e4c-a73d-069cbf4541e6"
    # every cast made a call patches the class once more: no good in one that lives for long
    CAST_AS_CALL = False

    def __init__(self) -> None:
        super().__init__("runTest")

    def runTest(self) -> None:
        """Nothing: only setUp and the clean-ups are used."""

    def setUp(self) -> None:
        sleep_until_there_is_work()
        super().setUp()
        self.agents: dict[str, Any] = {}
        for host in ("halted", "second", "compute"):
            self.start_agent(host)
        self.agents["halted"].stop()

    def _setup_services(self) -> None:
        # nova's fixture makes errors of them; this SQLAlchemy is newer than the one it was run with
        warnings.filterwarnings("ignore", category=SADeprecationWarning)
        # placement's fixture switches every policy of this process to long deprecated defaults
        self.flags(enforce_new_defaults=True, group="oslo_policy")
        self.policy = self.useFixture(RealPolicyFixture())
        super()._setup_services()

    def _setup_compute_service(self) -> Any:
        self.flags(compute_driver="fake.MediumFakeDriver")
        # a pool never shrinks, and hundreds of idle threads take most of the processor's time
        self.flags(executor_thread_pool_size=6)
        # as the agent and the API do it at their start
        conf.register(CONF)
        # no test is to be disturbed by it
        self.flags(check_interval=86400, group="nova_qos")
        self.flags(state_directory=self.useFixture(fixtures.TempDir()).path, group="nova_qos")
        self.flags(cpu_allocation_ratio=50.0, ram_allocation_ratio=50.0)
        self.flags(api_paste_config=self._paste_file(), group="wsgi")
        self.computes: dict[str, Any] = {}
        for host in ("silent", "halted", "second", "compute"):
            MACHINES[host] = Machine()
            self.computes[host] = self._start_compute(host)
        return self.computes["compute"]

    def _paste_file(self) -> str:
        """nova's own api-paste.ini with nova-qos enabled, as an operator does it."""
        ours = Path(self.useFixture(fixtures.TempDir()).path, "api-paste.ini")
        shutil.copy(Path(sys.prefix, "etc/nova/api-paste.ini"), ours)
        assert paste.change(ours, enable=True)
        return str(ours)

    def start_agent(self, host: str) -> Any:
        """Run our agent on the host as nova runs its services."""
        self.agents[host] = self.start_service(
            "qos-agent", host=host, topic=wire.TOPIC,
            manager=f"{FakeAgent.__module__}.{FakeAgent.__name__}")
        return self.agents[host]

    def boot(self, host: str = "compute") -> Server:
        """Make a server through nova, on this host, which answers whatever was tested before."""
        MACHINES[host].away = False
        flavor = next(f["id"] for f in self.api.get_flavors() if f["ram"] == FLAVOR_MIB)
        body = self._build_server(
            flavor_id=flavor, networks="none", az=f"nova:{host}",
            image_uuid=self.IMAGE)
        answer = ADMIN.using(microversion="2.37").request(
            "POST", "/servers", json.dumps({"server": body}))
        assert answer.status == 202, answer
        server = Server(answer.body["server"]["id"], host)
        self.wait(server, "ACTIVE")
        return server

    def wait(self, server: Server, status: str) -> None:
        """Until nova shows the server in this status and at rest."""
        def rests() -> bool:
            shown = ADMIN.request("GET", f"/servers/{server.uuid}").body["server"]
            return (shown["status"], shown["OS-EXT-STS:task_state"]) == (status, None)

        eventually(rests, _PATIENCE_S, ASKED_EACH_S)

    def delete(self, server: Server) -> None:
        """Away with it, and wait."""
        path = f"/servers/{server.uuid}"
        ADMIN.send(server, '{"os-resetState": {"state": "active"}}')
        ADMIN.request("DELETE", path)
        eventually(
            lambda: ADMIN.request("GET", path).status == 404, _PATIENCE_S, ASKED_EACH_S)
        # nor is it a neighbour of the servers of later tests
        server.machine.domains.pop(server.uuid, None)
