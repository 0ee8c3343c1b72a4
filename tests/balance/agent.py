# SPDX-License-Identifier: Apache-2.0
"""The agent's balancing as a process that can be killed: ``python -m tests.balance.agent FILE``

The servers are in memory instead of nova. FILE is JSON: ``servers`` by uuid, each with
``memory_mib`` and settings of its own; ``uri`` of libvirt; ``options`` of the section
nova_qos_balance; ``journal``, a file that gets a line a second with what balancing does. After
SIGHUP, the servers are read again.
"""

import json
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
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
from tests.balance.overcommitted import CALM_REPORT_S
from tests.unit.agent.records import HOST, MemoryRecord, MemoryRecords

_SECOND_S, _END_S = 1.0, 60
_REPOSITORY = Path(__file__).parents[2]
#: Some lines of a journal.
_TAIL = 2**16


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


@dataclass
class Balancing:
    """Such a process, while it runs."""

    process: "subprocess.Popen[bytes]"
    asked: Path
    journal: Path

    def lines(self) -> list[dict[str, Any]]:
        """What it wrote; the last line may be under way."""
        text = self.journal.read_text() if self.journal.exists() else ""
        return [json.loads(line) for line in text.splitlines() if line.endswith("}")]

    def last(self) -> dict[str, Any]:
        """What it said last; nothing before the first line."""
        if self.journal.exists():
            with self.journal.open("rb") as journal:
                journal.seek(max(0, journal.seek(0, os.SEEK_END) - _TAIL))
                # the first of these may have lost its beginning, the last may be under way
                for line in reversed(journal.read().decode().splitlines()):
                    with suppress(ValueError):
                        found: dict[str, Any] = json.loads(line)
                        return found
        return {"state": None, "reasons": [], "moves": 0, "plans": {}, "at_s": 0.0}

    def log(self) -> str:
        """The end of what it logged."""
        return self.asked.with_suffix(".log").read_text()[-2000:]

    def set(self, servers: Mapping[str, Mapping[str, int]]) -> None:
        """Give servers other settings."""
        new = self.asked.with_suffix(".new")
        new.write_text(json.dumps({**json.loads(self.asked.read_text()), "servers": servers}))
        new.replace(self.asked)
        self.process.send_signal(signal.SIGHUP)

    def kill(self) -> None:
        """End it without a chance to do anything."""
        self.process.kill()
        self.process.wait()


@contextmanager
def balancing(
    place: Path, name: str, uri: str, servers: Mapping[str, Mapping[str, int]], **options: Any
) -> Iterator[Balancing]:
    """Balance with these options; the log lies in ``NAME.log``."""
    place.mkdir(exist_ok=True)
    journal, asked = place / f"{name}.jsonl", place / f"{name}.json"
    asked.write_text(json.dumps(
        {"servers": servers, "uri": uri, "options": options, "journal": str(journal)}))
    with (place / f"{name}.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.balance.agent", str(asked)], cwd=_REPOSITORY,
            stdout=log, stderr=log)
    try:
        yield Balancing(process, asked, journal)
    finally:
        process.terminate()
        process.wait(_END_S)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
