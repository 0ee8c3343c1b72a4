# SPDX-License-Identifier: Apache-2.0
"""What an operator does with the demo's cloud in an upgrade: it has two hosts of the compute API
behind a load balancer, a compute host, and a database of named policies of its own."""

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

from tests.cloud.api import Person, wait_for
from tests.cloud.test_install_guide import is_up
from tests.cloud.upgrade.places import Place
from tests.cloud.upgrade.pool import Pool
from tests.cloud.upgrade.releases import Release
from tools.bed.processes import Daemon
from tools.bed.stack import code, leftovers, schema, services
from tools.bed.stack.layout import PORTS, Layout
from tools.bed.stack.shell import run
from tools.bed.together import together

_PORTS = (PORTS["nova"], 18784)
#: The database of the cloud itself, and the one beside it.
_OWN, _TABLES = "nova_qos", "nova_qos_upgrade"
#: In seconds: the agent asks for policies so often, where the default is 60.
POLICY_INTERVAL_S = 10
#: Within this time an agent that was started answers, beside users who take both processors.
STARTS_S = 120.0
#: An option that no release knows.
_OPTION = "of_a_release_to_come = 1"


class Cloud:
    """Both APIs share a Python environment; a host's own is what ``api`` and ``compute`` are."""

    def __init__(self, layout: Layout, api: Place, compute: Place, admin: Person) -> None:
        self.api, self.compute = api, compute
        self._layout, self._admin = layout, admin
        web = [services.web(layout, "nova", "nova.wsgi.osapi_compute", 1, port=port)
               for port in _PORTS]
        self._apis = [api.daemon(each) for each in (web[0], replace(web[1], name="nova-api-2"))]
        self._agent = compute.daemon(services.agent(layout))
        self.urls = [f"http://127.0.0.1:{port}/v2.1" for port in _PORTS]
        self.pool = Pool(self.urls)
        #: How long the agent was away, each time that it was restarted.
        self.away_s: list[float] = []

    def begin(self, release: Release) -> None:
        """From now on, API and agent are of this release, and its tables are empty but for what
        it makes itself."""
        together(lambda place: place.install(release), [self.api, self.compute])
        self._drop_tables()
        schema.create_database(self._layout, _TABLES)
        if release.has_policies:
            self.sync()
        # the next --up starts them again, should this be killed
        code.forget(self._layout)
        for each in (*self._apis, self._agent):
            each.stop()
        together(Daemon.start, [*self._apis, self._agent])
        self.await_agent()

    def end(self) -> None:
        """The cloud is its own again."""
        self._apis[1].stop()
        code.restart(self._layout)
        self.await_agent()
        self._drop_tables()

    def restart_apis(self) -> None:
        """Host by host, each while the load balancer sends it nothing."""
        for url, daemon in zip(self.urls, self._apis, strict=True):
            with self.pool.without(url):
                daemon.stop()
                daemon.start()

    @contextmanager
    def agent_away(self) -> Iterator[None]:
        """The agent is stopped, and started afterwards."""
        began = time.monotonic()
        self._agent.stop()
        try:
            yield
        finally:
            self._agent.start()
        self.await_agent()
        self.away_s.append(time.monotonic() - began)

    def await_agent(self) -> None:
        """Wait until nova says that it is up, and it answers."""
        server = self._admin.request("GET", "/servers").json()["servers"][0]["id"]
        wait_for(lambda: is_up(self._admin) and self._admin.act(
            server, "get-cpu-priority")[0] == 200, STARTS_S, "the agent answers")

    def check(self) -> str:
        """What ``nova-qos-agent --check`` prints; it exits with 1 where this machine lacks
        something."""
        answer = self.compute.run("nova-qos-agent", *self._conf("nova-compute"), "--check")
        assert answer.returncode in (0, 1), answer.stderr
        return answer.stdout

    def sync(self) -> str:
        """Run ``db sync`` twice at the same time; what one of them prints."""
        both = [self.api.begin("nova-qos-manage", *self._conf("nova"), "db", "sync")
                for _ in range(2)]
        answers = [each() for each in both]
        assert [each.returncode for each in answers] == [0, 0], answers
        return answers[0].stdout

    def manage(self, command: str) -> tuple[int, str]:
        """Status and words of ``nova-qos-manage db``."""
        answer = self.api.run("nova-qos-manage", *self._conf("nova"), "db", command)
        return answer.returncode, answer.stdout + answer.stderr

    def has_paste(self) -> bool:
        """Whether ``nova-qos-paste check`` finds nova-qos."""
        path = self._layout.etc("nova") / "api-paste.ini"
        return self.api.run("nova-qos-paste", "check", str(path)).returncode == 0

    def back_up(self) -> str:
        """A dump of the database of the named policies."""
        return run("mariadb-dump", "--no-defaults", f"--socket={self._layout.database_socket}",
                   "--single-transaction", _TABLES)

    def restore(self, dump: str) -> None:
        """Put it in place of the database that is there."""
        self._drop_tables()
        schema.create_database(self._layout, _TABLES)
        run("mariadb", "--no-defaults", f"--socket={self._layout.database_socket}", _TABLES,
            feed=dump)

    def _drop_tables(self) -> None:
        schema.drop_database(self._layout, _TABLES)

    def _conf(self, service: str) -> list[str]:
        return ["--config-file", str(self._layout.etc(service) / "nova.conf")]


@contextmanager
def cloud_of_two_hosts(layout: Layout, scratch: Path, admin: Person) -> Iterator[Cloud]:
    """The cloud, with everything that this changes its own again afterwards."""
    leftovers.mark(layout)
    with ExitStack() as stack:
        api, compute = (stack.enter_context(Place(layout, scratch / name))
                        for name in ("api", "compute"))
        api.configure("nova", name=f"/{_OWN}?", to=f"/{_TABLES}?")
        state = layout.state / "lib/nova-qos"
        compute.configure(
            "nova-compute", name=f"state_directory = {state}",
            to=f"state_directory = {scratch}/state\npolicy_interval = {POLICY_INTERVAL_S}\n"
               f"{_OPTION}")
        cloud = Cloud(layout, api, compute, admin)
        stack.callback(cloud.end)
        yield cloud
