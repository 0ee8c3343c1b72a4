# SPDX-License-Identifier: Apache-2.0
"""The agent's balancing as a process that can be killed: ``python -m tools.bed.balance.agent FILE``

The servers are in memory instead of nova. FILE is JSON: ``servers`` by uuid, each with
``memory_mib`` and settings of its own; ``uri`` of libvirt; ``options`` of the section
nova_qos_balance; ``journal``, a file that gets a line a second with what balancing does. After
SIGHUP, the servers are read again.
"""

import json
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from oslo_config import cfg

from nova_qos import conf
from nova_qos.agent.balance.account import Account
from nova_qos.agent.balance.steer import Balancer
from nova_qos.agent.history import History
from nova_qos.agent.hooks import Hooks
from nova_qos.agent.look import Looker
from nova_qos.agent.loop import Loop
from nova_qos.agent.roster import Roster
from nova_qos.agent.unfinished import Unfinished
from nova_qos.balance_options import thresholds_of
from nova_qos.core.server import Flavor
from nova_qos.virt import events
from nova_qos.virt.host import LibvirtHost
from tools.bed.balance.overcommitted import CALM_REPORT_S
from tools.bed.memory_records import HOST, MemoryRecord, MemoryRecords

_SECOND_S = 1.0


def _configured(settings: Mapping[str, Any], state: Path) -> cfg.ConfigOpts:
    options = cfg.ConfigOpts()
    options([], project="nova")
    conf.register(options)
    options.set_override("check_interval", 10, "nova_qos")
    options.set_override("state_directory", str(state), "nova_qos")
    for name, value in settings.items():
        options.set_override(name, value, "nova_qos_balance")
    return options


def _records(servers: Mapping[str, Mapping[str, int]]) -> MemoryRecords:
    records = MemoryRecords()
    for uuid, settings in servers.items():
        own = dict(settings)
        records.all[uuid] = MemoryRecord(uuid, Flavor(own.pop("memory_mib")), **own)
    return records


def _line(account: Account) -> str:
    plans = {uuid: each._asdict() for uuid, each in account.plans.items()}
    return json.dumps({
        "at_s": time.time(), "state": account.state, "reasons": list(account.reasons),
        "room_mib": account.room_mib, "moves": account.moves, "plans": plans,
        "unmanaged": dict(account.unmanaged)})


def main(file: Path) -> None:
    """Balance until SIGTERM, or until the process that started this has ended."""
    parent = os.getppid()
    asked = json.loads(file.read_text())
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    options = _configured(asked["options"], file.parent / "state")
    records = _records(asked["servers"])
    events.run_loop()
    machine = LibvirtHost(
        asked["uri"], {}, budget_mib=options.nova_qos_balance.memory_mib)
    balancer = Balancer(
        machine.memory, options.nova_qos_balance, thresholds_of(options, CALM_REPORT_S),
        lambda: {server.uuid: server for server in looker.roster.servers()},
        busy=lambda: records.busy(HOST),
        hold=lambda server_uuid: looker.balance(server_uuid),
        released=lambda: loop.check_soon())
    looker = Looker(
        Roster(HOST, records, assigned=balancer.given.balanced),  # type: ignore[arg-type]
        machine, options, Hooks({}, options), History(), 0.0)
    loop = Loop(looker, options, Unfinished(str(file.parent / "state")))
    ended, changed = threading.Event(), threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ended.set())
    signal.signal(signal.SIGHUP, lambda *_: changed.set())
    balancer.start()
    loop.start()
    with Path(asked["journal"]).open("a", buffering=1) as journal:
        while not ended.wait(_SECOND_S) and os.getppid() == parent:
            if changed.is_set():
                changed.clear()
                records.all = _records(json.loads(file.read_text())["servers"]).all
                loop.check_soon()
            journal.write(_line(balancer.account) + "\n")
    balancer.stop()
    loop.stop()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
