# SPDX-License-Identifier: Apache-2.0
"""One server of a request for many."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from nova_qos.api.faults import fault_of
from nova_qos.api.server import ON_NO_HOST, Server
from nova_qos.bus.wire import Result, SetAnswer, Wish
from nova_qos.core.reading import Reading
from nova_qos.core.server import POLICY
from nova_qos.instances.saving import Trace


@dataclass
class Begun:
    """A set that its caller may make now, and how far it has come."""

    server: Server
    trace: Trace
    changes: Mapping[str, int | None]
    result: Result = ON_NO_HOST
    readings: Mapping[str, Reading] = field(default_factory=dict)

    @property
    def wish(self) -> Wish:
        """What the agent is to do."""
        return Wish(self.server.saved, self.changes)

    @property
    def moving(self) -> SetAnswer | None:
        """The agent's answer where the guest has yet to reach a value."""
        result = self.result
        return result if isinstance(result, SetAnswer) and result.moving else None


@dataclass
class Item:
    """What is requested of one server: it has ``begun``, or come to an ``error``."""

    server_id: str
    asked: Mapping[str, object]
    begun: Begun | None = None
    error: Exception = ON_NO_HOST

    def answer(self) -> dict[str, Any]:
        """As the request is answered."""
        if self.begun is None:
            fault = fault_of(self.error)
            return {"server": self.server_id, "code": fault.code,
                    "error": {"message": fault.explanation}}
        begun = self.begun
        shown = {name: each for name, each in begun.readings.items()
                 if name in begun.changes or POLICY in begun.changes}
        return {"server": self.server_id,
                "code": 202 if begun.server.waits(begun.changes, shown) else 200,
                "qos": begun.server.reports(shown)}
