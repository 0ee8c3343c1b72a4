# SPDX-License-Identifier: Apache-2.0
"""nova-qos-agent --check on the machine that the tests run on, as an operator runs it."""

import os
import re
import subprocess
import sys
import time
from pathlib import Path

from nova_qos.core.units import UNLIMITED
from nova_qos.resources import TABLE
from tests.host.bench import UPLINK, RealBench, RealServer
from tests.knobs import read, write
from tests.silent import SilentSocket
from tools.bed.libvirtd import PrivateLibvirt

ROOT = Path(__file__).parents[2]
CONF = """\
[DEFAULT]
instances_path = {state}
# nobody listens there
transport_url = rabbit://nobody:nothing@127.0.0.1:1/
[libvirt]
connection_uri = {uri}
mem_stats_period_seconds = {period_s}
[nova_qos]
uplinks = {uplinks}
"""


def check(
    libvirt: PrivateLibvirt, period_s: int = 10, uplinks: str = UPLINK, uri: str | None = None
) -> tuple[int, list[str]]:
    """Its exit status and its lines."""
    conf = libvirt.state / "nova.conf"
    conf.write_text(CONF.format(
        state=libvirt.state, uri=uri or libvirt.uri, period_s=period_s, uplinks=uplinks))
    done = subprocess.run(
        [sys.executable, "-m", "nova_qos.cmd.agent", "--config-file", str(conf), "--check"],
        cwd=ROOT, capture_output=True, text=True, timeout=120,
        env={**os.environ, "PYTHONPATH": str(ROOT)})
    assert done.stderr == ""
    return done.returncode, done.stdout.splitlines()


def by_resource(lines: list[str]) -> dict[str, str]:
    """The lines without the warnings, by the resource that each begins with."""
    return {line.partition(":")[0]: line for line in lines if not line.startswith("warning: ")}


def run(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def disk_line(path: Path) -> str:
    """What is to be said of the device that a file lies on, by the words of other programs."""
    source = run(
        "findmnt", "--noheadings", "--nofsroot", "--output", "SOURCE", "--target", str(path))
    name = run("lsblk", "--noheadings", "--nodeps", "--output", "PKNAME", source) or Path(
        source).name
    scheduler = run("lsblk", "--noheadings", "--nodeps", "--output", "SCHED", f"/dev/{name}")
    if scheduler == "bfq":
        return r"io_priority: works \(cgroup v\d\)"
    return (f"io_priority: works without effect because device {name} below disk {path} has I/O "
            f"scheduler {scheduler}; .*write bfq to /sys/block/{name}/queue/scheduler")


def test_what_this_machine_can_do(bench: RealBench, server: RealServer) -> None:
    status, lines = check(bench.libvirt)
    told = by_resource(lines)
    assert list(told) == [name for name, row in TABLE.items() if row.knob is not None]
    assert told["memory"] == "memory: works"
    has_swap = bool(run("swapon", "--noheadings", "--show"))
    assert ("no swap" in told["memory_soft_limit"]) != has_swap
    for name in ("cpu_priority", "cpu_limit", "cpu_guarantee"):
        assert re.fullmatch(rf"{name}: works \(cgroup v\d\)", told[name])
    assert re.fullmatch(disk_line(bench.libvirt.state), told["io_priority"])
    for name in ("net_priority", "net_limit", "net_guarantee"):
        assert told[name] == f"{name}: works (on uplink {UPLINK})"
    assert told["net_in_limit"] == (
        "net_in_limit: works (before the servers' taps, by device nova-qos-in)")
    for name in ("net_in_priority", "net_in_guarantee"):
        assert "htb_rate_in is not set" in told[name]
    assert status == int(any("because" in line for line in lines))


def test_it_says_the_same_as_the_readings_of_a_server(
    bench: RealBench, server: RealServer
) -> None:
    domain = bench.host.domain(server.uuid)
    # what a test before had set is gone, and its host would go on saying so
    write(domain, "net_priority", UNLIMITED)
    _status, lines = check(bench.libvirt)
    told = by_resource(lines)
    for name in ("memory", "cpu_priority", "io_priority", "net_priority"):
        assert read(domain, name).effective == ("because" not in told[name])


def test_while_there_are_settings_it_changes_nothing(
    bench: RealBench, server: RealServer
) -> None:
    domain = bench.host.domain(server.uuid)
    write(domain, "net_priority", 5)
    write(domain, "cpu_priority", 1500)

    def everything() -> list[str]:
        # some packets of the host itself pass meanwhile
        disciplines = re.sub(r"direct_packets_stat \d+", "", run("tc", "qdisc", "show"))
        return [disciplines, run("tc", "class", "show", "dev", UPLINK),
                run("nft", "list", "ruleset"),
                bench.libvirt.virsh("dumpxml", server.guest.name),
                bench.libvirt.virsh("memtune", server.guest.name),
                bench.libvirt.virsh("blkiotune", server.guest.name)]

    before = everything()
    _status, lines = check(bench.libvirt)
    assert f"net_priority: works (on uplink {UPLINK})" in lines
    assert everything() == before


def test_what_is_configured_wrongly(bench: RealBench) -> None:
    status, lines = check(bench.libvirt, period_s=0, uplinks="nosuch0")
    assert status == 1
    assert lines[0].startswith("memory: cannot because servers have no balloon while [libvirt]")
    assert "net_priority: cannot because there is no uplink nosuch0 on this host now" in lines


def test_libvirt_is_away(bench: RealBench) -> None:
    uri = "qemu+unix:///system?socket=/nonexistent/libvirt-sock"
    status, lines = check(bench.libvirt, uri=uri)
    (line,) = lines
    assert status == 1
    assert line.startswith(f"libvirt does not answer at {uri}: ")
    assert line.endswith("Start libvirtd, or correct [libvirt] connection_uri")


def test_libvirt_hangs(bench: RealBench) -> None:
    silent = SilentSocket(bench.libvirt.state / "silent")
    try:
        began = time.monotonic()
        status, lines = check(bench.libvirt, uri=silent.uri)
        took_s = time.monotonic() - began
    finally:
        silent.close()
    (line,) = lines
    assert status == 1
    assert line.startswith(
        f"libvirt does not answer at {silent.uri}: it has not accepted a connection for 5 s")
    assert took_s < 30
