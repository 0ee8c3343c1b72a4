# SPDX-License-Identifier: Apache-2.0
"""A compute host in a virtual machine, looked at with tools that are not ours."""

import json
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

from tools.bed import payload
from tools.bed.errors import TestbedError
from tools.bed.stack.layout import Layout
from tools.bed.stack.node import Node
from tools.bed.vmhost import TREE

_AGENT = "nova-qos-agent"
#: What is left for servers where nova keeps the rest: no guest of this tier fits.
_LEFT_MIB = 64


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
    def reserved(self) -> Iterator[None]:
        """While inside, the agent is told that nova keeps nearly all memory to itself."""
        machine, file = self.node.machine, str(
            Layout.of_environment().etc("nova-compute") / "nova.conf")
        before = machine.run("cat", file)
        total = int(machine.run("awk", "/MemTotal/ {print int($2 / 1024)}", "/proc/meminfo"))
        kept = f"[DEFAULT]\nreserved_host_memory_mb = {total - _LEFT_MIB}\n"
        try:
            self._configure(file, before.replace("[DEFAULT]\n", kept, 1))
            yield
        finally:
            self._configure(file, before)

    def _configure(self, file: str, text: str) -> None:
        self.node.machine.write(file, text)
        self.node.stop(_AGENT)
        self.node.start(_AGENT)

    def expect(self, wanted: Mapping[str, int], seconds: float) -> "Arrival":
        """Begin to wait for a server that migrates to here."""
        return Arrival(self, wanted, seconds)

    def _look(self, *words: str) -> Any:
        return json.loads(self.node.machine.run(
            "env", f"PYTHONPATH={TREE}", "PYTHONDONTWRITEBYTECODE=1",
            payload.PYTHON, f"{TREE}/tests/twonode/look.py", *words, timeout_s=600))


class Arrival:
    """Waits until a server has migrated to a host, which holds what is wanted."""

    def __init__(self, host: NodeHost, wanted: Mapping[str, int], seconds: float) -> None:
        pool = ThreadPoolExecutor(1)
        self._took_s: Future[dict[str, float]] = pool.submit(
            host._look, "arrival", str(seconds), json.dumps(dict(wanted)))
        pool.shutdown(wait=False)

    def took_s(self) -> dict[str, float]:
        """Seconds from libvirt's resuming it until the ``groups`` were seen to be right, and until
        the ``network`` was; less than 0 when that was before.

        :raises TestbedError: it did not come, or not with all
        """
        return self._took_s.result()
