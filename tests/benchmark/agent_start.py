# SPDX-License-Identifier: Apache-2.0
"""The start of an agent on a host with many servers: real nova objects, a host in memory.

Usage: ``python -m tests.benchmark.agent_start [--servers 1000]``
"""

import argparse
import os
import sys
import time
import uuid
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

# first of all: nova decides its threading on import
os.environ["OS_NOVA_DISABLE_EVENTLET_PATCHING"] = "1"

import nova.tests.functional  # noqa: F401
from nova import context, objects
from nova.tests.fixtures.nova import PROJECT_ID

from nova_qos.instances.records import Records
from nova_qos.resources import TABLE
from tests.benchmark.compare import status, verdict
from tests.functional.cloud import MACHINES, Cloud
from tests.functional.values import FLAVOR_MIB, SETTINGS

HOST = "compute"
#: Of the CPU time that it takes to load all servers from nova, once each; the time that passes
#: depends on how the threads of all that is in this process wait for each other.
_START_RATIO, _IDLE_PERCENT = 1.5, 20.0
#: As many as the agent has for looks at servers.
_THREADS = 4
#: After so long, some servers never get what is saved for them.
_NEVER_S = 120.0
#: What hosts hold; no host could keep the guarantees of so many servers.
_SAVED = {name: value for name, value in SETTINGS.items()
          if TABLE[name].knob is not None and not name.endswith("_guarantee")}


def make_servers(count: int, settings: Mapping[str, int] = _SAVED) -> list[str]:
    """Running servers with settings, for everything unless said, of which the host holds nothing.
    """
    admin = context.get_admin_context()
    flavor = objects.Flavor.get_by_name(admin, "m1.tiny")
    saved = {TABLE[name].names.stored_as: str(value) for name, value in settings.items()}
    uuids = [str(uuid.uuid4()) for _ in range(count)]
    for number, server in enumerate(uuids):
        objects.Instance(
            admin, uuid=server, host=HOST, display_name=f"server-{number}",
            project_id=PROJECT_ID, user_id="user", vm_state="active", task_state=None,
            flavor=flavor, memory_mb=flavor.memory_mb, vcpus=1, root_gb=0, ephemeral_gb=0,
            instance_type_id=flavor.id, system_metadata=saved).create()
        MACHINES[HOST].add(server, FLAVOR_MIB * 1024)
    return uuids


def load(uuids: list[str]) -> float:
    """The CPU time (s) of loading the servers as the agent does before it looks at one."""
    records, began = Records(), time.process_time()
    with ThreadPoolExecutor(_THREADS) as pool:
        list(pool.map(records.load, uuids))
    return time.process_time() - began


def measure(cloud: Cloud, count: int, idle_s: float) -> bool:
    """Print both figures; whether their goals are met."""
    cloud.agents[HOST].stop()
    uuids = make_servers(count)
    cloud.flags(check_interval=60, group="nova_qos")
    base_s = load(uuids)
    began, used = time.monotonic(), time.process_time()
    cloud.start_agent(HOST)
    waiting, servers = list(uuids), MACHINES[HOST].domains
    while waiting:
        time.sleep(0.02)
        # all are in this process: to look at each of them every time would take half of it
        while waiting and _SAVED.items() <= servers[waiting[-1]].held().items():
            waiting.pop()
        if time.monotonic() > began + _NEVER_S:
            raise SystemExit(f"{len(waiting)} servers do not have what is saved for them")
    took_s, used_s = time.monotonic() - began, time.process_time() - used
    ratio = used_s / base_s
    print(f"agent start with {count} servers: all as requested after {took_s:.1f} s; it takes "
          f"{used_s:.1f} s of CPU, to load them {base_s:.1f} s: ratio {ratio:.2f} "
          f"{verdict(ratio, _START_RATIO)}", flush=True)
    time.sleep(5)
    before, began = time.process_time(), time.monotonic()
    time.sleep(idle_s)
    used, passed = time.process_time() - before, time.monotonic() - began
    percent = 100 * used / passed
    print(f"afterwards, with a check every 60 s: {percent:.1f} % of a core over {passed:.0f} s "
          f"{verdict(percent, _IDLE_PERCENT)}; nova's API and database are in the same process",
          flush=True)
    return ratio <= _START_RATIO and percent <= _IDLE_PERCENT


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--servers", type=int, default=1000)
    parser.add_argument("--idle-seconds", type=float, default=60)
    arguments = parser.parse_args()
    cloud = Cloud()
    try:
        cloud.setUp()
        met = measure(cloud, arguments.servers, arguments.idle_seconds)
    finally:
        cloud.doCleanups()
    sys.exit(status(met))


if __name__ == "__main__":
    main()
