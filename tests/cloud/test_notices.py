# SPDX-License-Identifier: Apache-2.0
"""A notification of contention on the demo's own message bus, received as other tools do it."""

import queue
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import oslo_messaging as messaging
import pytest
from nova import config as nova_config
from nova import context, rpc
from nova.conf import CONF

from nova_qos.agent.contention import State
from nova_qos.agent.notices import EVENT, Notices
from nova_qos.bus import notices as bus
from nova_qos.core import contention
from nova_qos.core.contention import Placed
from nova_qos.core.room import Room
from nova_qos.core.server import Flavor
from tools.bed.stack.layout import BROKER_URL

HOST = "host-of-this-test"
#: By which others, such as Watcher, tell nova's notifications.
NOVAS = r"^nova-.*"
NOVA_CONF = f"""
[DEFAULT]
transport_url = {BROKER_URL}
[notifications]
notification_format = versioned
[oslo_messaging_notifications]
driver = messagingv2
"""


@dataclass
class Ear:
    """What a listener hears of nova's publishers, by priority."""

    heard: "queue.Queue[tuple[str, str, str, Any]]" = field(default_factory=queue.Queue)
    filter_rule = messaging.NotificationFilter(publisher_id=NOVAS)

    def info(self, _context: Any, publisher: str, event: str, payload: Any, _meta: Any) -> None:
        self.heard.put(("INFO", publisher, event, payload))

    def warn(self, _context: Any, publisher: str, event: str, payload: Any, _meta: Any) -> None:
        self.heard.put(("WARN", publisher, event, payload))

    def next(self) -> tuple[str, str, str, Any]:
        """The next one of ours."""
        while True:
            found = self.heard.get(timeout=30)
            if found[1] == f"nova-qos-agent:{HOST}":
                return found


@pytest.fixture
def ear(tmp_path: Path) -> Iterator[Ear]:
    """nova's message bus as the agent has it, and a listener in a pool of its own."""
    file = tmp_path / "nova.conf"
    file.write_text(NOVA_CONF)
    nova_config.parse_args(["nova-qos-agent"], default_config_files=[str(file)],
                           configure_db=False, init_rpc=False)
    rpc.init(CONF)
    ear = Ear()
    transport = messaging.get_notification_transport(CONF)
    listener = messaging.get_notification_listener(
        transport, [messaging.Target(topic="versioned_notifications", exchange="nova")], [ear],
        executor="threading", pool="nova-qos-test")
    listener.start()
    yield ear
    listener.stop()
    listener.wait()
    rpc.cleanup()


def state(need_mib: int) -> State:
    """A host of 1000 MiB with a server that needs so many."""
    room = Room(1200, 600, 4, {"memory": 1000})
    placed = Placed(Flavor(need_mib), runs=True, applied={"memory": need_mib})
    summary = contention.summary([placed], room, 0)
    judgement = contention.judge(summary, room)
    return State(judgement, summary, room, dict.fromkeys(judgement.conditions, 1790000000.0))


def test_others_receive_it(ear: Ear) -> None:
    emit, now_s = bus.notifier(HOST, context.get_admin_context()), [0.0]
    assert emit is not None
    notices = Notices(HOST, emit, lambda: now_s[0])
    notices(state(800))
    priority, publisher, event, payload = ear.next()
    assert (priority, publisher, event) == ("INFO", f"nova-qos-agent:{HOST}", EVENT)
    assert payload["nova_object.data"]["state"] == "calm"
    now_s[0] += 100
    notices(state(1400))
    priority, _publisher, _event, payload = ear.next()
    data = payload["nova_object.data"]
    assert (priority, payload["nova_object.namespace"]) == ("WARN", "nova_qos")
    assert (data["state"], data["previous_state"], data["short_promised"]) == ("short", "calm", 400)
