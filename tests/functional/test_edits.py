# SPDX-License-Identifier: Apache-2.0
"""An edit of policies on its way to a host's servers, with nova's own records."""

from collections.abc import Callable

import pytest

from nova_qos.agent.look import Looker
from nova_qos.agent.loop import Loop
from nova_qos.instances.records import Records
from tests.functional.caller import ADMIN
from tests.functional.cloud import Cloud, Server, eventually
from tests.functional.policies import create, send

HELD = {"io_priority": 300, "net_limit": 7000}


@pytest.fixture
def loop(cloud: Cloud) -> Loop:
    found: Loop = cloud.agents["compute"].manager.loop
    return found


@pytest.fixture
def looker(cloud: Cloud) -> Looker:
    found: Looker = cloud.agents["compute"].manager.looker
    return found


def test_which_servers_nova_is_at_work_on(server: Server) -> None:
    assert Records().busy("compute") == frozenset()
    server.change(task_state="rebooting")
    try:
        assert Records().busy("compute") == {server.uuid}
        assert Records().busy("second") == frozenset()
    finally:
        server.change(task_state=None)


@pytest.mark.usefixtures("policies")
def test_an_edit_is_written_first_and_marked_then(
    boot: Callable[[], Server], loop: Loop, looker: Looker, monkeypatch: pytest.MonkeyPatch
) -> None:
    # of one that was set lately, what is loaded may be older than that: it gets a look
    server = boot()
    policy = create("gold", settings={"io_priority": 200}, is_default=True)
    eventually(lambda: server.domain.weight == 200)

    def is_settled() -> bool:
        loop.check()
        return "io_priority" in server.lifted() and (
            found := looker.settled.get(server.uuid)) is not None and bool(found.assigned.layers)

    eventually(is_settled)

    def is_held() -> bool:
        loop.check()
        return HELD.items() <= server.held().items()

    with monkeypatch.context() as patch:
        # what is in doubt would get a look, and gets it by the next check here
        patch.setattr(looker, "look", lambda _uuid: None)
        answer = send("PUT", f"/{policy}", {"policy": {"settings": HELD}})
        assert answer.status == 200
        eventually(is_held)
        shown = ADMIN.act(server, "get-qos").body["net_limit"]
        assert (shown["state"], shown["source"]) == ("applied", "default policy gold")
        assert server.lifted() == {"io_priority"}
        assert looker.roster.owed.of(server.uuid) == {"net_limit"}
    loop.put(server.uuid)
    eventually(lambda: server.lifted() == HELD.keys())
    assert looker.roster.owed.of(server.uuid) == frozenset()
