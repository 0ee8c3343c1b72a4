# SPDX-License-Identifier: Apache-2.0
"""The command lines against a real nova API: many servers at once, lists, and many policies.

Usage: ``python -m tests.benchmark.clients [--servers 500] [--policies 1000]``. Hosts are in memory;
the commands are processes of their own and speak HTTP.
"""

import argparse
import itertools
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

# first of all: nova decides its threading on import
os.environ["OS_NOVA_DISABLE_EVENTLET_PATCHING"] = "1"

import nova.tests.functional  # noqa: F401
import webob.dec  # noqa: F401  # nova.api.wsgi leaves it to others
from keystoneauth1.adapter import Adapter
from keystoneauth1.noauth import NoAuth
from keystoneauth1.session import Session
from nova import context, objects
from nova.api.wsgi import Loader
from nova.conf import CONF
from nova.tests.fixtures.nova import PROJECT_ID

from nova_qos.api.many import ManyServers
from nova_qos.bus.many import ManyClient
from nova_qos.client import Client, Outcome
from nova_qos.core.policy import Policy
from nova_qos.instances import hosts, saving
from nova_qos.policies import rows
from nova_qos.policies.engine import Database
from tests.benchmark.agent_start import HOST, make_servers
from tests.benchmark.compare import Comparison, Goal, compare, report
from tests.benchmark.policies import make_database
from tests.benchmark.spans import Spans
from tests.functional.cloud import Cloud

OPENSTACK = Path(sys.executable).with_name("openstack")
AT_ONCE, ALONE = 50, 5
#: How many times as long as for one server a request for so many may take.
_MOST_TIMES = 15
_ROUNDS = 10
#: What a request for many servers does, one after another.
_STEPS = {
    "find the servers in their cells": (hosts, "named"),
    "check access rules, values and states of each": (ManyServers, "_begin"),
    "the agent's part, with the bus": (ManyClient, "set"),
    "save and record all": (saving, "save_all")}
_SETTINGS = {"memory": "75%", "cpu_priority": "512/vcpu", "cpu_limit": "80%/vcpu",
             "io_priority": 300, "io_limit": 5000, "net_limit": 50000, "net_priority": 20,
             "memory_guarantee": "25%"}
_ADMIN = {
    "HTTP_X_AUTH_USER": "admin", "HTTP_X_USER_ID": "admin", "HTTP_X_ROLES": "reader,member,admin",
    "HTTP_X_AUTH_PROJECT_ID": PROJECT_ID}


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _Quiet(WSGIRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """Nothing: the figures are what is printed."""


def serve() -> str:
    """nova's API over HTTP, with everybody an administrator; its address."""
    api = Loader().load_app("osapi_compute")

    def as_admin(environ: dict[str, Any], start_response: Any) -> Any:
        return api({**environ, **_ADMIN}, start_response)

    server = make_server("127.0.0.1", 0, as_admin, _Server, _Quiet)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"http://127.0.0.1:{server.server_port}/v2.1"


def make_known(uuids: Sequence[str]) -> list[str]:
    """Let nova's API find the servers; their names."""
    admin = context.get_admin_context()
    cell = objects.CellMappingList.get_all(admin)[-1]
    for server in uuids:
        objects.InstanceMapping(
            admin, instance_uuid=server, project_id=PROJECT_ID, cell_mapping=cell).create()
    return [f"server-{number}" for number in range(len(uuids))]


def seconds(endpoint: str, *words: str) -> float:
    """How long a command takes.

    :raises subprocess.CalledProcessError: it failed
    """
    began = time.monotonic()
    subprocess.run(
        [OPENSTACK, "--os-auth-type", "none", "--os-endpoint", endpoint, *words],
        env={"PATH": os.defpath, "HOME": os.devnull}, check=True, stdout=subprocess.DEVNULL)
    return time.monotonic() - began


def seconds_for_each(endpoint: str, uuids: Sequence[str]) -> float:
    """How long it takes to ask for one server after another."""
    client = Client(Adapter(Session(NoAuth()), endpoint_override=endpoint))
    began = time.monotonic()
    for server in uuids:
        client.get(server)
    return time.monotonic() - began


def in_one_request(endpoint: str, uuids: Sequence[str]) -> Comparison:
    """One request for many servers beside one for one of them."""
    client = Client(Adapter(Session(NoAuth()), endpoint_override=endpoint))
    values = itertools.cycle((1500, 2000))

    def one() -> None:
        assert client.set(uuids[0], cpu_priority=next(values)).result == "applied"

    def many() -> None:
        settings = {"cpu_priority": next(values)}
        results = client.set_many(dict.fromkeys(uuids, settings))
        assert all(isinstance(each, Outcome) and each.result == "applied"
                   for each in results.values())

    found = compare(f"{len(uuids)} servers set in one request / one server", many, one,
                    Goal(_MOST_TIMES), _ROUNDS)
    spans = Spans(_STEPS)
    with spans.measured():
        for _ in range(_ROUNDS):
            many()
    print(f"where the time of one request for {len(uuids)} servers goes:",
          *spans.lines(_ROUNDS), sep="\n", flush=True)
    return found


def make_policies(count: int) -> None:
    """So many policies, and as many flavors to compare with."""
    def add(connection: Any) -> None:
        rows.take_turn(connection)
        for number in range(count):
            rows.insert(connection, Policy(number + 1, f"policy-{number}", _SETTINGS, 1, ""))

    Database(CONF, patient=True).change(add)
    admin = context.get_admin_context()
    for number in range(count):
        objects.Flavor(
            admin, name=f"flavor-{number}", flavorid=f"f{number}", memory_mb=512, vcpus=1,
            root_gb=0, ephemeral_gb=0, swap=0, rxtx_factor=1.0, is_public=True,
            extra_specs={}).create()


def show_policies(endpoint: str, count: int) -> None:
    """Print how long commands take that have many policies to list, or one of them to find."""
    make_policies(count)
    policy, flavor = ("server", "qos", "policy"), ("flavor",)
    for what, ours, novas in (
        (f"qos policy list with {count} policies / flavor list with as many flavors",
         (*policy, "list"), (*flavor, "list")),
        (f"qos policy show of one of {count} / flavor show of one of as many",
         (*policy, "show", "policy-7"), (*flavor, "show", "flavor-7")),
    ):
        pairs = [(seconds(endpoint, *ours), seconds(endpoint, *novas)) for _ in range(ALONE)]
        show(what, *(sum(each) / ALONE for each in zip(*pairs, strict=True)))


def show(what: str, ours: float, baseline: float) -> None:
    print(f"{what:<66} {ours:7.1f} {baseline:7.1f} {ours / baseline:6.2f}", flush=True)


def measure(endpoint: str, uuids: Sequence[str], policies: int) -> int:
    """Print the figures.

    :returns: the exit status
    """
    names = make_known(uuids)
    change = ("server", "qos", "set", "--cpu-priority")
    alone = [seconds(endpoint, *change, "1500", name) for name in names[:ALONE]]
    print(f"{'seconds':<66} {'ours':>7} {'base':>7} {'ratio':>6}")
    show(f"qos set on {AT_ONCE} servers / {AT_ONCE} x on one (mean of {ALONE})",
         seconds(endpoint, *change, "2000", *names[:AT_ONCE]), sum(alone) / ALONE * AT_ONCE)
    show(f"qos list --host with {len(names)} servers / get-qos of each ({AT_ONCE} measured)",
         seconds(endpoint, "server", "qos", "list", "--host", HOST),
         seconds_for_each(endpoint, uuids[:AT_ONCE]) / AT_ONCE * len(names))
    outcome = report([in_one_request(endpoint, uuids[:AT_ONCE])])
    with tempfile.TemporaryDirectory() as directory:
        make_database(directory)
        show_policies(endpoint, policies)
    return outcome


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--servers", type=int, default=500)
    parser.add_argument("--policies", type=int, default=1000)
    arguments = parser.parse_args()
    cloud = Cloud()
    try:
        cloud.setUp()
        outcome = measure(serve(), make_servers(arguments.servers), arguments.policies)
    finally:
        cloud.doCleanups()
    sys.exit(outcome)


if __name__ == "__main__":
    main()
