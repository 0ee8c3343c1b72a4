# SPDX-License-Identifier: Apache-2.0
"""A compute host in a virtual machine, looked at with tools that are not ours."""

import json
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from tools.bed import payload
from tools.bed.errors import TestbedError
from tools.bed.stack.node import Node
from tools.bed.vmhost import TREE


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
