# SPDX-License-Identifier: Apache-2.0
"""A cloud in use whose releases change, and what has to be in force on it."""

import time
from collections.abc import Iterable
from dataclasses import dataclass, field

from tests.cloud.api import wait_for
from tests.cloud.host import Observer
from tests.cloud.sets import requested
from tests.cloud.upgrade.answers import Answers, User
from tests.cloud.upgrade.cloud import POLICY_INTERVAL_S, Cloud
from tests.cloud.upgrade.load import Load
from tests.cloud.upgrade.releases import Release
from tests.cloud.upgrade.steady import Steady
from tests.cloud.values import SETTINGS, await_held, in_groups, on_uplink

PATH = "/os-qos-policies"
#: What earlier releases may not know.
LATER = {"cpu_limit": 60, "io_limit": 500}
#: In seconds: a set that waited for an agent, or an edit, is in force; a guest that was started
#: beside all of this has booted, and its balloon has moved.
SOON_S, DRIVER_S = 30.0, 180.0
#: So many lines of what was not as it should be are printed.
_MOST_TOLD = 20


@dataclass
class Scene:
    """Users change the first two servers, and nobody the third."""

    cloud: Cloud
    earlier: Release
    this: Release
    user: User
    answers: Answers
    host: Observer
    load: Load
    steady: Steady
    servers: tuple[str, str, str]
    #: The resources that the earlier release holds on this host.
    supported: frozenset[str]
    #: The policy that decides of the second server's CPU priority.
    policy: str | None = None
    steps: list[tuple[float, str]] = field(default_factory=list)

    @property
    def has_same_tables(self) -> bool:
        """Whether the database needs no ``db sync``."""
        return self.earlier.tables == self.this.tables

    @property
    def unknown(self) -> dict[str, int]:
        """Settings of resources that the earlier release does not know."""
        return {name: value for name, value in LATER.items() if name not in self.earlier.resources}

    def begins(self, step: str) -> None:
        """The operator begins to do this."""
        self.answers.step = step
        self.steps.append((time.monotonic(), step))

    def set(self, servers: Iterable[str], name: str, value: int) -> None:
        """Remember what was set beside the users' own changes."""
        self.load.last.update({(server, name): value for server in servers})

    def make_policy(self) -> None:
        """The policy and its server."""
        answer = self.user.request("POST", PATH, json={"policy": {
            "name": "gold", "settings": {"cpu_priority": 3000}}})
        assert answer.status_code == 201, answer.text
        self.policy = answer.json()["policy"]["id"]
        status, body = self.user.act(self.servers[1], "set-qos", {"policy": "gold"})
        assert status == 200, body
        self.await_policy()

    def await_policy(self) -> None:
        """Wait until the host holds what the policy says; nobody edits it meanwhile."""
        shown = self.user.request("GET", f"{PATH}/{self.policy}").json()["policy"]["settings"]
        wait_for(lambda: self.held(self.servers[1])["cpu_priority"] == shown["cpu_priority"],
                 SOON_S + 2 * POLICY_INTERVAL_S, f"the policy is in force: {shown}")

    def assert_all_is_in_force(self) -> None:
        """What was set last is requested, and the host holds it."""
        with self.load.without():
            for (server, name), value in self.load.last.items():
                assert requested(self.user, server)[name] == value, (server, name)
                wait_for(lambda server=server, name=name, value=value: self.held(
                    server)[name] == value, SOON_S, f"{name} of {server} is {value}")
            if self.policy is not None:
                self.await_policy()

    def held(self, server: str) -> dict[str, object]:
        """What the host holds of the first resources, but for the balloon's."""
        return {**in_groups(self.host, server), "net_priority": on_uplink(self.host, server)}

    def later_held(self) -> dict[str, object]:
        """What the host holds of ``LATER`` for the first server."""
        first = self.servers[0]
        return {"cpu_limit": self.host.virsh_value("schedinfo", first, "global_quota"),
                "io_limit": self.host.throttling(first)["total_iops_sec"]}

    def replace_the_agent(self, reboots: bool = False) -> None:
        """The one that is installed is started. Meanwhile a set waits, and a server that is
        rebooted runs with nova's values."""
        first, third, name = self.servers[0], self.servers[2], "memory_soft_limit"
        before = self.held(first)[name]
        wanted = 200 if before != 200 else 210
        # a get of one resource needs the agent, and a server that runs
        with self.answers.allowing(503, *[409] * reboots), self.cloud.agent_away():
            status, body = self.user.act(first, "set-memory-soft-limit", {"memory_limit": wanted})
            assert (status, body["state"]) == (202, "pending"), body
            assert self.held(first)[name] == before
            if reboots:
                self._reboot(third)
        self.set([first], name, wanted)
        await_held(self.host, third, SETTINGS, DRIVER_S)
        self.steady.may_look()

    def _reboot(self, server: str) -> None:
        self.steady.look_away()
        assert self.user.act(server, "reboot", {"type": "HARD"})[0] == 202
        self.user.wait_for_status(server, "ACTIVE")
        assert self.held(server)["cpu_priority"] == 1024

    def told(self) -> str:
        """What was seen, for people."""
        away = ", ".join(f"{each:.0f}" for each in self.cloud.away_s)
        began = self.steps[0][0] if self.steps else 0.0
        steps = ", ".join(f"{at - began:.0f} s: {step}" for at, step in self.steps)
        wrong = [*self.answers.lost, *self.answers.wrong, *self.steady.others]
        return (f"from {self.earlier.name} (messages 1.{self.earlier.wire}) and back: "
                f"{self.answers.told()}; {len(self.steady.others)} of {self.steady.looks} looks at "
                f"a server that nobody changes saw another value; the agent was away for {away} "
                f"s\n  {steps}" + "".join(f"\n  {each}" for each in wrong[:_MOST_TOLD]))
