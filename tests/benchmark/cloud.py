# SPDX-License-Identifier: Apache-2.0
"""Speed and size against nova's own, on the demo's cloud, in one run; goals are judged.

Usage, as root on the machine of the demo's cloud, with its admin credentials in the environment
and its Python::

    python -m tests.benchmark.cloud LIBVIRT_URI SERVER...

Pairs are timed on the first server; the requests of many clients go to all of them.
"""

import argparse
import itertools
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent import futures
from pathlib import Path

import libvirt
from keystoneauth1 import session
from keystoneauth1.identity import v3

from nova_qos.agent.hold import hold
from nova_qos.core.balloon import Limits
from nova_qos.net.outbound import Outbound
from nova_qos.virt.host import LibvirtHost
from tests.benchmark.compare import Comparison, Goal, Step, compare, report, status, verdict

AGENT = "nova-qos-agent"
_CLIENTS, _RESIDENT_MIB, _THREADS = 32, 130, 40
#: Two values of each setting that a host applies at once.
_TWO = {
    "memory_soft_limit": (300, 400), "cpu_priority": (1024, 2048), "io_priority": (300, 700),
    "net_priority": (20, 60), "memory_guarantee": (200, 250), "memory_priority": (100, 200),
    "cpu_limit": (80, 90), "cpu_guarantee": (20, 30), "io_limit": (500, 600),
    "io_rate_limit": (8192, 16384), "net_limit": (40_000, 50_000), "net_guarantee": (5000, 6000),
    "net_in_priority": (20, 60), "net_in_limit": (40_000, 50_000),
    "net_in_guarantee": (5000, 6000),
}


class Api:
    """One client of nova's REST API, its token and connection kept as clients do."""

    def __init__(self, server: str) -> None:
        env = os.environ
        auth = v3.Password(
            auth_url=env["OS_AUTH_URL"], username=env["OS_USERNAME"], password=env["OS_PASSWORD"],
            project_name=env["OS_PROJECT_NAME"], user_domain_name="Default",
            project_domain_name="Default")
        self._session = session.Session(auth=auth)
        self._where = {"service_type": "compute", "region_name": env.get("OS_REGION_NAME")}
        found = self._session.get(
            f"/servers?all_tenants=1&name=^{server}$", endpoint_filter=self._where).json()
        self.server = found["servers"][0]["id"]

    def action(self, name: str, value: object = None) -> Step:
        """A step that sends one action."""
        url = f"/servers/{self.server}/action"
        return lambda: self._session.post(url, json={name: value}, endpoint_filter=self._where)


def rest(api: Api, rounds: int, runs: int) -> Iterator[Comparison]:
    """The actions beside nova's cheapest ones that go the same way."""
    shares = itertools.cycle((1024, 2048))
    console = api.action("os-getConsoleOutput", {"length": 1})
    yield compare("get-cpu-priority / os-getConsoleOutput of one line",
                  api.action("get-cpu-priority"), console, Goal(0.87), rounds, runs=runs)
    yield compare("get-qos / os-getConsoleOutput of one line",
                  api.action("get-qos"), console, Goal(1.2), rounds, runs=runs)
    yield compare("set-cpu-priority / unlock",
                  lambda: api.action("set-cpu-priority", {"share": next(shares)})(),
                  api.action("unlock"), Goal(1.3), rounds, before_baseline=api.action("lock"),
                  runs=runs)


def everything_at_once(api: Api, rounds: int, runs: int) -> Comparison:
    """All that can be set, each time to other values; memory stays, for a guest takes its time.

    After it, the agent has loaded all that it ever uses.
    """
    many = itertools.cycle({"memory": 512, **{name: values[place] for name, values in _TWO.items()}}
                           for place in (0, 1))
    one = itertools.cycle({"cpu_priority": value} for value in _TWO["cpu_priority"])
    try:
        return compare(f"set-qos of {1 + len(_TWO)} settings / of one",
                       lambda: api.action("set-qos", next(many))(),
                       lambda: api.action("set-qos", next(one))(), Goal(2), rounds, runs=runs)
    finally:
        api.action("set-qos", dict.fromkeys(["memory", *_TWO]))()


def host(server: str, uri: str, rounds: int) -> list[Comparison]:
    """What the agent does with a domain, beside the two bare libvirt calls."""
    domain = LibvirtHost(uri, {"net_class": Outbound((), 80, 50)}).domain(server)
    bare = libvirt.open(uri).lookupByUUIDString(server)
    live = libvirt.VIR_DOMAIN_AFFECT_LIVE
    ours, base = itertools.cycle((1024, 2048)), itertools.cycle((1024, 2048))

    def write_and_read() -> None:
        bare.setSchedulerParametersFlags({"cpu_shares": next(base)}, live)
        bare.schedulerParametersFlags(live)

    return [
        compare("apply of cpu_priority / bare libvirt write + read",
                lambda: hold(domain, {"cpu_priority": next(ours)}, Limits(0)), write_and_read,
                Goal(5, "ms more"), rounds),
    ]


def commands(server: str, rounds: int) -> list[Comparison]:
    """Whole processes, as a person starts them."""
    nova = str(Path(sys.executable).with_name("nova"))

    def run(*arguments: str) -> Step:
        return lambda: subprocess.run([nova, *arguments], check=True, capture_output=True)

    return [
        compare("nova lv-get-mem / nova lock", run("lv-get-mem", server), run("lock", server),
                Goal(1.2), rounds, before_baseline=run("unlock", server)),
    ]


def footprint(servers: Sequence[str], requests: int) -> bool:
    """Print the agent's memory and threads after requests by many clients, half of them sets;
    whether the goals are met."""
    local = threading.local()

    def ask(number: int) -> None:
        apis = getattr(local, "apis", None) or [Api(server) for server in servers]
        local.apis = apis
        turn, place = divmod(number, len(apis))
        share = {"share": 1024 + turn % 1024}
        action = ("get-qos", None) if turn % 2 else ("set-cpu-priority", share)
        apis[place].action(*action)()

    with futures.ThreadPoolExecutor(_CLIENTS) as clients:
        list(clients.map(ask, range(requests)))
    resident_mib, threads = _size()
    print(f"agent after {requests} requests by {_CLIENTS} clients on {len(servers)} servers: "
          f"{resident_mib:.0f} MiB resident {verdict(resident_mib, _RESIDENT_MIB)}, "
          f"{threads} threads {verdict(threads, _THREADS)}", flush=True)
    return resident_mib <= _RESIDENT_MIB and threads <= _THREADS


def _size() -> tuple[float, int]:
    """The agent's resident memory in MiB, and its threads."""
    lines = (Path("/proc") / _agent_pid() / "status").read_text().splitlines()
    facts = {line.split(":")[0]: line.split()[1] for line in lines if len(line.split()) > 1}
    return int(facts["VmRSS"]) / 1024, int(facts["Threads"])


def idle(seconds: float) -> None:
    """Print the CPU time that the agent takes while nobody asks for anything."""
    pid = _agent_pid()
    before = _cpu_seconds(pid)
    time.sleep(seconds)
    used = _cpu_seconds(pid) - before
    print(f"idle for {seconds:g} s the agent used {used:.2f} s of CPU ({used / seconds:.1%} of a "
          "core)", flush=True)


def _agent_pid() -> str:
    for directory in Path("/proc").glob("[0-9]*"):
        words = (directory / "cmdline").read_bytes().split(b"\0")[:2]
        if any(word.endswith(AGENT.encode()) for word in words):
            return directory.name
    raise SystemExit(f"{AGENT} does not run on this machine")


def _cpu_seconds(pid: str) -> float:
    fields = (Path("/proc") / pid / "stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("uri", help="libvirt's URI on the servers' host")
    parser.add_argument("servers", nargs="+", metavar="server", help="name of a running server")
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--requests", type=int, default=1000)
    parser.add_argument("--idle-seconds", type=float, default=60)
    arguments = parser.parse_args()
    api = Api(arguments.servers[0])
    failed = report(itertools.chain(
        rest(api, arguments.rounds, arguments.runs),
        host(api.server, arguments.uri, arguments.rounds),
        commands(api.server, max(5, arguments.rounds // 20))))
    api.action("unlock")()
    met = footprint(arguments.servers, arguments.requests)
    idle(arguments.idle_seconds)
    failed |= report([everything_at_once(api, arguments.rounds, arguments.runs)])
    print(f"agent after that: {_size()[0]:.0f} MiB resident")
    sys.exit(failed or status(met))


if __name__ == "__main__":
    main()
