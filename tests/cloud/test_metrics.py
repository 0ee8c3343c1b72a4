# SPDX-License-Identifier: Apache-2.0
"""What the agent's metrics say, beside what virsh, the kernel's files and the API say."""

import subprocess
import time
from collections.abc import Callable
from concurrent import futures
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from nova_qos.core import metric
from nova_qos.resources import TABLE
from tests.cloud.api import Person, wait_for
from tests.cloud.host import Observer
from tools.bed.stack.layout import METRICS_PORT

URL = f"http://127.0.0.1:{METRICS_PORT}/metrics"
CATALOG = {metric.PREFIX + each.name: each for each in metric.metrics(TABLE)}
#: By name without the prefix, then by the values of the labels.
Samples = dict[str, dict[tuple[str, ...], float]]
#: The demo's agent loads its servers every 5 s.
LOADED_S = 15


def text() -> str:
    return subprocess.run(["curl", "--fail", "--silent", "--show-error", "--max-time", "20", URL],
                          check=True, capture_output=True, text=True).stdout


def scrape() -> Samples:
    found: Samples = {}
    for family in text_string_to_metric_families(text()):
        for sample in family.samples:
            if sample.name.startswith(metric.PREFIX):
                labels = tuple(sample.labels[name] for name in CATALOG[sample.name].all_labels)
                short = sample.name.removeprefix(metric.PREFIX)
                found.setdefault(short, {})[labels] = sample.value
    return found


def domstats(host: Observer, server: str) -> dict[str, str]:
    lines = host.libvirt.virsh("domstats", server, "--raw").splitlines()
    return dict(line.strip().split("=", 1) for line in lines if "=" in line)


@pytest.fixture
def loaded(servers: dict[str, str], clean: None) -> dict[str, str]:
    """The demo's servers, known to the agent."""
    wait_for(lambda: set(servers.values()) <= {
        labels[0] for labels in scrape().get("server_info", {})}, LOADED_S, "all are loaded")
    return servers


def test_promtool_finds_no_fault(loaded: dict[str, str]) -> None:
    checked = subprocess.run(
        ["promtool", "check", "metrics"], input=text(), capture_output=True, text=True)
    assert (checked.returncode, checked.stdout + checked.stderr) == (0, "")


def test_every_server_has_what_libvirt_tells(
    admin: Person, host: Observer, loaded: dict[str, str]
) -> None:
    before = {server: domstats(host, server) for server in loaded.values()}
    found = scrape()
    after = {server: domstats(host, server) for server in loaded.values()}
    for name, server in loaded.items():
        info = next(labels for labels in found["server_info"] if labels[0] == server)
        shown = admin.show(server)
        assert info == (server, name, shown["tenant_id"], "m512",
                        host.libvirt.virsh("domname", server).strip())
        old, new = before[server], after[server]
        (vda,) = [labels for labels in found["server_disk_read_bytes_total"]
                  if labels[0] == server]
        assert vda[1] == new["block.0.name"]
        between = {
            "server_cpu_seconds_total": ((server,), "cpu.time", 1e-9),
            "server_vcpu_seconds_total": ((server,), "vcpu.0.time", 1e-9),
            "server_vcpu_delay_seconds_total": ((server,), "vcpu.0.delay", 1e-9),
            "server_disk_written_bytes_total": (vda, "block.0.wr.bytes", 1),
            "server_disk_writes_completed_total": (vda, "block.0.wr.reqs", 1),
            "server_disk_write_time_seconds_total": (vda, "block.0.wr.times", 1e-9),
            "server_network_receive_bytes_total": (
                (server, new["net.0.name"]), "net.0.rx.bytes", 1),
            "server_memory_major_faults_total": ((server,), "balloon.major_fault", 1)}
        for metric_name, (labels, key, factor) in between.items():
            value = found[metric_name][labels]
            assert int(old[key]) * factor - 1e-6 <= value <= int(new[key]) * factor + 1e-6, (
                metric_name)
        assert found["server_vcpus"][server,] == 1
        assert abs(found["server_memory_report_timestamp_seconds"][server,] - time.time()) < 30
    assert found["servers_partial"] == {(): 0}
    assert set(found["collector_success"].values()) == {1}
    assert found["build_info"]


def test_pressure_is_what_the_kernel_tells(host: Observer, loaded: dict[str, str]) -> None:
    found = scrape()
    for server in loaded.values():
        # on a host with cgroup v1, the group of the tree of cgroup v2 beside it
        text = (Path("/sys/fs/cgroup/unified") / host.group(server).relative_to("/sys/fs/cgroup")
                / "cpu.pressure").read_text()
        line = text.splitlines()[0]
        waited = int(line.rpartition("total=")[2]) / 1e6
        assert found["server_pressure_cpu_waiting_seconds_total"][server,] == pytest.approx(
            waited, abs=2)


def test_settings_and_parts_of_the_host(admin: Person, loaded: dict[str, str]) -> None:
    vm1, vm2, vm3 = (loaded[name] for name in ("vm1", "vm2", "vm3"))
    sets = scrape().get("sets_total", {})
    wanted = {"cpu_priority": 2048, "memory_soft_limit": 200, "net_priority": 10}
    assert admin.act(vm1, "set-qos", wanted)[0] == 200
    wait_for(lambda: scrape().get("server_cpu_priority_requested_shares", {}).get((vm1,)) == 2048,
             LOADED_S, "what was requested is loaded")
    found = scrape()
    assert found["server_cpu_priority_applied_shares"] == {
        (vm1,): 2048, (vm2,): 1024, (vm3,): 1024}
    assert found["server_memory_soft_limit_applied_bytes"] == {(vm1,): 200 * 2**20}
    assert found["server_net_priority_applied"] == {(vm1,): 10}
    assert set(found["server_setting_state"]) == {
        (vm1, name, "applied", "server") for name in wanted}
    for name in wanted:
        assert found["sets_total"][name, "applied"] == sets.get((name, "applied"), 0) + 1
    listed = admin.request("GET", f"/os-qos?host={admin.show(vm1)['OS-EXT-SRV-ATTR:host']}").json()
    cpus = listed["host"]["vcpus"]
    # one vCPU each: of two processors, the one with twice the weight has all that it can use
    assert found["server_share_ratio"][vm1, "cpu_priority"] == pytest.approx(
        min(1 / cpus, 0.5))
    assert found["server_share_ratio"][vm1, "net_priority"] == pytest.approx(89 / (89 + 50 + 50))
    # the classes are there now
    sent = found["server_uplink_sent_bytes_total"]
    assert found["server_uplink_guaranteed_bytes_per_second"].keys() == sent.keys()
    assert {labels[0] for labels in sent} == {vm1, vm2, vm3}


def test_drift_that_is_corrected_counts(
    admin: Person, host: Observer, loaded: dict[str, str]
) -> None:
    vm1 = loaded["vm1"]
    assert admin.act(vm1, "set-cpu-priority", {"share": 700})[0] == 200

    def corrections() -> float:
        return scrape().get("corrections_total", {}).get(("cpu_priority",), 0)

    before = corrections()
    host.group_file(vm1, "cpu", "cpu.shares").write_text("55")
    wait_for(lambda: corrections() == before + 1, 30, "the correction is counted")
    assert host.cgroup(vm1, "cpu", "cpu.shares") == 700


def test_a_guest_that_hangs(host: Observer, loaded: dict[str, str]) -> None:
    vm1, vm2 = loaded["vm1"], loaded["vm2"]
    with host.hung(vm1):
        for _ in range(3):
            began = time.monotonic()
            found = scrape()
            took = time.monotonic() - began
            assert found["servers_partial"] == {(): 1}
            assert (vm1,) not in found["server_memory_resident_bytes"]
            assert found["server_memory_resident_bytes"][vm2,] > 0
            assert found["server_cpu_seconds_total"][vm1,] > 0
            print(f"a scrape beside a guest that hangs took {took:.2f} s")
            assert took < 5
    wait_for(lambda: scrape()["servers_partial"] == {(): 0}, 30, "all figures are told again")


def test_libvirtd_away(admin: Person, host: Observer, loaded: dict[str, str]) -> None:
    host.libvirt.stop_libvirtd()
    try:
        found = scrape()
        assert found["collector_success"]["libvirt",] == 0
        assert len(found["server_info"]) >= 3
        for name in ("server_cpu_seconds_total", "server_cpu_priority_applied_shares",
                     "server_setting_state"):
            assert name not in found
    finally:
        host.start_libvirtd()
    wait_for(lambda: scrape()["collector_success"]["libvirt",] == 1, 60, "libvirt is back")


def test_many_scrapes_at_once(loaded: dict[str, str]) -> None:
    with futures.ThreadPoolExecutor(6) as threads:
        asked: list[Callable[[], Samples]] = [scrape] * 12
        found = list(threads.map(lambda each: each(), asked))
    assert all(len(each["server_cpu_seconds_total"]) >= 3 for each in found)
