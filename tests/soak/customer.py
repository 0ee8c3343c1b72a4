# SPDX-License-Identifier: Apache-2.0
"""Somebody who does random things with one server, and remembers what was promised."""

import random
import subprocess
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from keystoneauth1.exceptions import ClientException

from tests.cloud.api import RECENT, Person
from tests.cloud.host import Observer
from tests.cloud.operations import OPERATIONS
from tests.soak.calm import Calm
from tools.bed.errors import TestbedError

Value = int | None
_TO_ACTIVE = {
    "SHUTOFF": ("os-start", None), "PAUSED": ("unpause", None), "SUSPENDED": ("resume", None),
    "RESCUE": ("unrescue", None)}
_HARD_REBOOT = ("reboot", {"type": "HARD"})
_STUCK_S, _SETTLE_S = 40, 90
# the scheduler passes by a host whose libvirtd was away just now
_OPERATIONS = sorted(OPERATIONS.keys() - {"shelve, unshelve"})
#: The first microversion of nova's API with reasons of locks.
_REASONS = "2.73"


class Customer:
    """Acts on one server until told to stop; nobody else sets anything there."""

    def __init__(
        self, name: str, server: str, memory_mib: int, admin: Person, host: Observer,
        calm: Calm, choose: random.Random, say: Callable[[str], None],
    ) -> None:
        self.name, self.server = name, server
        self._memory_mib = memory_mib
        self._calm = calm
        self._admin, self._host, self._choose, self._say = admin, host, choose, say
        #: By resource, what may be saved: one value, two after an answer that told nothing.
        self.promised: dict[str, set[Value]] = {}
        self.sets = self.operations = self.locks = 0
        #: What of nova's own was lost.
        self.lost: list[str] = []

    def act(self) -> None:
        """Do one thing."""
        act = self._choose.choices(
            (self._set, self._set_each, self._lock, self._operate, self._reset_guest,
             self._meddle), (4, 2, 2, 3, 1, 1))[0]
        act()
        time.sleep(self._choose.uniform(0, 1.5))

    def settle(self) -> None:
        """Bring the server to ACTIVE, whatever has become of it."""
        began = stuck_since = time.monotonic()
        while (now := time.monotonic()) < began + _SETTLE_S:
            seen = self._admin.show(self.server)
            if not seen.get("OS-EXT-STS:task_state"):
                stuck_since = now
                if seen["status"] != "ACTIVE":
                    self._try(*_TO_ACTIVE.get(seen["status"], _HARD_REBOOT))
                elif (domain := self._virsh("domstate", self.server)) == "running":
                    return
                else:
                    # a task that nova has forgotten leaves the domain where it was
                    self._say(f"{self.name}: nova says ACTIVE, libvirt {domain}")
                    self._try(*_HARD_REBOOT)
            elif now > stuck_since + _STUCK_S:
                self._say(f"{self.name}: nova is stuck in {seen['OS-EXT-STS:task_state']}")
                self._try("os-resetState", {"state": "error"})
            time.sleep(0.5)
        self._say(f"{self.name}: is {seen['status']} after {_SETTLE_S} s")

    def _values(self) -> dict[str, Callable[[], int]]:
        number = self._choose.randint
        return {
            "memory": lambda: number(self._memory_mib // 2, self._memory_mib),
            "memory_soft_limit": lambda: number(64, 512),
            "cpu_priority": lambda: number(2, 4096),
            "io_priority": lambda: number(100, 1000),
            "net_priority": lambda: number(0, 98),
        }

    def _asked(self) -> dict[str, Value]:
        values = self._values()
        names = self._choose.sample(sorted(values), self._choose.randint(1, len(values)))
        return {name: None if self._choose.random() < 0.2 else values[name]() for name in names}

    def _set(self) -> None:
        self._send(self._asked())

    def _set_each(self) -> None:
        """Set resources by requests of their own, all at the same time."""
        parts = [{name: value} for name, value in self._asked().items()]
        with ThreadPoolExecutor(len(parts)) as pool:
            list(pool.map(self._send, parts))

    def _lock(self) -> None:
        """Lock and unlock the server while it is set; the reason of the lock is nova's own."""
        reason = f"reason {self._choose.randrange(10**6)}"
        first, second = self._asked(), self._asked()
        self.locks += 1
        with ThreadPoolExecutor(1) as pool:
            setting = pool.submit(self._send, first)
            status = self._try("lock", {"locked_reason": reason}, _REASONS)
            setting.result()
            told = self._admin.show(self.server).get("locked_reason")
            if status == 202 and told != reason:
                self.lost.append(f"{reason}: {told}")
            setting = pool.submit(self._send, second)
            self._try("unlock")
            setting.result()

    def _send(self, asked: dict[str, Value]) -> None:
        status = self._try("set-qos", asked)
        self.sets += 1
        self._say(f"{self.name}: set-qos {asked}: {status}")
        for name, value in asked.items():
            if status in (200, 202):
                self.promised[name] = {value}
            elif status is None or status >= 500:
                self.promised.setdefault(name, {None}).add(value)

    def _operate(self) -> None:
        name = self._choose.choice(_OPERATIONS)
        with self._calm.operation():
            self._say(f"{self.name}: {name}")
            self.operations += 1
            for action, value, there in OPERATIONS[name]:
                if self._try(action, value) not in (200, 202) or not self._reaches(there):
                    self._say(f"{self.name}: {action} did not end in {there}")
                    break
            self.settle()

    def _reset_guest(self) -> None:
        self._say(f"{self.name}: reset")
        self._virsh("reset", self.server)

    def _meddle(self) -> None:
        if self.promised.get("cpu_priority", {None}) & {None}:
            return  # what nobody has asked for is not put right
        shares = self._choose.randint(2, 4096)
        self._say(f"{self.name}: virsh schedinfo cpu_shares={shares}")
        self._virsh("schedinfo", self.server, "--live", f"cpu_shares={shares}")

    def _virsh(self, *words: str) -> str | None:
        try:
            return self._host.libvirt.virsh(*words).strip()
        except (TestbedError, subprocess.SubprocessError) as error:  # libvirtd is away at times
            self._say(f"{self.name}: virsh {words[0]}: {str(error)[:100]}")
            return None

    def _try(self, action: str, value: object = None, version: str = RECENT) -> int | None:
        try:
            return self._admin.act(self.server, action, value, version)[0]
        except (ClientException, ValueError) as error:
            self._say(f"{self.name}: {action}: {error}")
            return None

    def _reaches(self, status: str) -> bool:
        try:
            self._admin.wait_for_status(self.server, status, 30)
        except AssertionError:
            return False
        return True
