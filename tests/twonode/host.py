# SPDX-License-Identifier: Apache-2.0
"""A compute host in a virtual machine, looked at with tools that are not ours."""

import json
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

from tests.twonode.watch import STOP
from tools.bed import payload
from tools.bed.errors import TestbedError
from tools.bed.stack.layout import Layout
from tools.bed.stack.node import Node
from tools.bed.vmhost import TREE

_AGENT = "nova-qos-agent"
#: What is left for servers where nova keeps the rest: no guest of this tier fits.
_LEFT_MIB = 64
#: A huge page of x86; that many more or fewer than needed are as good.
_PAGE_MIB, _CLOSE_PAGES = 2, 4
_ATTEMPTS = 10


class NodeHost:
    """What is said of a server here comes from ``look.py``, which runs in the machine."""

    def __init__(self, node: Node) -> None:
        self.node = node
        self.name = node.name

    def held(self, server: str) -> dict[str, Any]:
        """The first five resources, or the word ``error`` with why they could not be read."""
        try:
            found: dict[str, Any] = self._look("held", server)
        except TestbedError as error:
            return {"error": str(error)}
        return found

    def leftovers(self, server: str, mac: str) -> list[str]:
        """What is left of a server that has gone."""
        found: list[str] = self._look("leftovers", server, mac)
        return found

    @contextmanager
    def reserved(self, left_mib: int = _LEFT_MIB) -> Iterator[None]:
        """While inside, the agent is told that nova keeps all memory but so much to itself."""
        machine, file = self.node.machine, str(
            Layout.of_environment().etc("nova-compute") / "nova.conf")
        before = machine.run("cat", file)
        kept = f"[DEFAULT]\nreserved_host_memory_mb = {self.memory_mib('MemTotal') - left_mib}\n"
        try:
            self._configure(file, before.replace("[DEFAULT]\n", kept, 1))
            yield
        finally:
            self._configure(file, before)

    def memory_mib(self, field: str) -> int:
        """A figure of /proc/meminfo."""
        return int(self.node.machine.run(
            "awk", f"/^{field}:/ {{print int($2 / 1024)}}", "/proc/meminfo"))

    @contextmanager
    def in_use(self, available_mib: int) -> Iterator[None]:
        """While inside, so much of its memory is available: the rest is in huge pages, as hosts
        keep it for other purposes; the kernel can neither swap them nor take them back."""
        try:
            self._take_pages(available_mib)
            yield
        finally:
            self._set_pages(0)

    def _take_pages(self, available_mib: int) -> None:
        pages = 0
        for _attempt in range(_ATTEMPTS):
            more = (self.memory_mib("MemAvailable") - available_mib) // _PAGE_MIB
            if abs(more) <= _CLOSE_PAGES:
                return
            pages += more
            pages = self._set_pages(pages)
        raise AssertionError(f"{self.memory_mib('MemAvailable')} MiB are available")

    def _set_pages(self, number: int) -> int:
        """How many there are then: the kernel may find fewer."""
        machine = self.node.machine
        machine.run("sysctl", "-qw", "vm.compact_memory=1", f"vm.nr_hugepages={number}")
        return int(machine.run("cat", "/proc/sys/vm/nr_hugepages"))

    @contextmanager
    def watched(self, server: str) -> Iterator[list[dict[str, int]]]:
        """While inside, ``watch.py`` looks again and again at what a server has of the memory; at
        the end, the list has what was seen."""
        seen: list[dict[str, int]] = []
        with ThreadPoolExecutor(1) as pool:
            self.node.machine.run("rm", "-f", STOP)
            watch: Future[list[dict[str, int]]] = pool.submit(self._run, "watch.py", server)
            try:
                yield seen
            finally:
                self.node.machine.run("touch", STOP)
                seen += watch.result()

    def _configure(self, file: str, text: str) -> None:
        self.node.machine.write(file, text)
        self.node.stop(_AGENT)
        self.node.start(_AGENT)

    def expect(self, wanted: Mapping[str, int], seconds: float) -> "Arrival":
        """Begin to wait for a server that migrates to here."""
        return Arrival(self, wanted, seconds)

    def _look(self, *words: str) -> Any:
        return self._run("look.py", *words)

    def _run(self, program: str, *words: str) -> Any:
        return json.loads(self.node.machine.run(
            "env", f"PYTHONPATH={TREE}", "PYTHONDONTWRITEBYTECODE=1",
            payload.PYTHON, f"{TREE}/tests/twonode/{program}", *words, timeout_s=900))


class Arrival:
    """Waits until a server has migrated to a host, which holds what is wanted."""

    def __init__(self, host: NodeHost, wanted: Mapping[str, int], seconds: float) -> None:
        def look() -> Any:
            with host.node.machine.ahead():
                return host._look("arrival", str(seconds), json.dumps(dict(wanted)))

        pool = ThreadPoolExecutor(1)
        self._took_s: Future[dict[str, float]] = pool.submit(look)
        pool.shutdown(wait=False)

    def took_s(self) -> dict[str, float]:
        """Seconds from libvirt's resuming it until the ``groups`` were seen to be right, and until
        the ``network`` was; less than 0 when that was before.

        :raises TestbedError: it did not come, or not with all
        """
        return self._took_s.result()
