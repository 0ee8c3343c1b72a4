# SPDX-License-Identifier: Apache-2.0
"""From libvirt's names and the kernel's files to metrics."""

from pathlib import Path

import pytest

from nova_qos.core import errors, metric
from nova_qos.resources import TABLE
from nova_qos.virt import statistics
from nova_qos.virt.groups import Group

RECORD = {
    "state.state": 1, "state.reason": 1,
    "cpu.time": 4_345_304_000, "cpu.user": 1, "cpu.system": 2,
    "balloon.current": 524288, "balloon.maximum": 524288, "balloon.swap_in": 3,
    "balloon.swap_out": 4, "balloon.major_fault": 5, "balloon.usable": 100,
    "balloon.available": 200, "balloon.rss": 300, "balloon.last-update": 1795987431,
    "vcpu.current": 2, "vcpu.maximum": 4,
    "vcpu.0.time": 1_000_000_000, "vcpu.0.wait": 0, "vcpu.0.delay": 250_000_000,
    "vcpu.1.time": 500_000_000, "vcpu.1.wait": 0, "vcpu.1.delay": 250_000_000,
    "net.count": 1, "net.0.name": "tap1", "net.0.rx.bytes": 11, "net.0.rx.pkts": 12,
    "net.0.rx.errs": 0, "net.0.rx.drop": 13, "net.0.tx.bytes": 14, "net.0.tx.pkts": 15,
    "net.0.tx.errs": 0, "net.0.tx.drop": 16,
    "block.count": 2, "block.0.name": "vda", "block.0.path": "/disk", "block.0.rd.reqs": 21,
    "block.0.rd.bytes": 22, "block.0.rd.times": 23_000_000_000, "block.0.wr.reqs": 24,
    "block.0.wr.bytes": 25, "block.0.wr.times": 26_000_000_000, "block.0.fl.reqs": 27,
    "block.1.name": "vda", "block.1.path": "/backing", "block.1.rd.bytes": 99,
}  # fmt: skip


def test_what_libvirt_tells() -> None:
    assert statistics.of_libvirt(RECORD) == {
        "server_cpu_seconds_total": {(): pytest.approx(4.345304)},
        "server_memory_swapped_in_bytes_total": {(): 3 * 1024},
        "server_memory_swapped_out_bytes_total": {(): 4 * 1024},
        "server_memory_major_faults_total": {(): 5},
        "server_memory_usable_bytes": {(): 100 * 1024},
        "server_memory_available_bytes": {(): 200 * 1024},
        "server_memory_resident_bytes": {(): 300 * 1024},
        "server_memory_report_timestamp_seconds": {(): 1795987431},
        "server_vcpus": {(): 2},
        "server_vcpu_seconds_total": {(): pytest.approx(1.5)},
        "server_vcpu_delay_seconds_total": {(): pytest.approx(0.5)},
        "server_network_receive_bytes_total": {("tap1",): 11},
        "server_network_receive_packets_total": {("tap1",): 12},
        "server_network_receive_drop_total": {("tap1",): 13},
        "server_network_transmit_bytes_total": {("tap1",): 14},
        "server_network_transmit_packets_total": {("tap1",): 15},
        "server_network_transmit_drop_total": {("tap1",): 16},
        "server_disk_reads_completed_total": {("vda",): 21},
        "server_disk_read_bytes_total": {("vda",): 22},
        "server_disk_read_time_seconds_total": {("vda",): pytest.approx(23)},
        "server_disk_writes_completed_total": {("vda",): 24},
        "server_disk_written_bytes_total": {("vda",): 25},
        "server_disk_write_time_seconds_total": {("vda",): pytest.approx(26)}}


def test_what_the_machine_has(tmp_path: Path) -> None:
    (tmp_path / "meminfo").write_text(
        "MemTotal:       24661700 kB\nMemFree:         1 kB\nMemAvailable:   23000000 kB\n"
        "HugePages_Total:       0\n")
    found = statistics.of_host(3, tmp_path / "meminfo")
    assert found["host_memory_bytes"] == {(): 24661700 * 1024}
    assert found["host_memory_available_bytes"] == {(): 23000000 * 1024}
    # as the shares of servers are counted, too, by nova and in lists
    assert found["host_cpus"] == {(): 3}
    # all are dedicated to single servers
    assert statistics.of_host(0, tmp_path / "meminfo")["host_cpus"] == {}


def test_what_is_left_out_is_absent() -> None:
    partly = {key: value for key, value in RECORD.items()
              if not key.startswith(("balloon", "block"))}
    found = statistics.of_libvirt(partly)
    assert found["server_cpu_seconds_total"]
    assert not [name for name in found if "memory" in name or "disk" in name]
    assert statistics.of_libvirt({}) == {}


def test_a_guest_that_has_never_reported() -> None:
    found = statistics.of_libvirt({**RECORD, "balloon.last-update": 0})
    assert "server_memory_report_timestamp_seconds" not in found


def test_pressure(tmp_path: Path) -> None:
    (tmp_path / "cpu.pressure").write_text(
        "some avg10=0.00 avg60=0.00 avg300=0.00 total=3373546\n"
        "full avg10=0.00 avg60=0.00 avg300=0.00 total=3163602\n")
    (tmp_path / "io.pressure").write_text("some avg10=0.00 avg60=0.00 avg300=0.00 total=73076\n")
    assert statistics.pressure_of(Group(tmp_path)) == {
        "server_pressure_cpu_waiting_seconds_total": {(): pytest.approx(3.373546)},
        "server_pressure_cpu_stalled_seconds_total": {(): pytest.approx(3.163602)},
        "server_pressure_io_waiting_seconds_total": {(): pytest.approx(0.073076)}}


def test_no_pressure(tmp_path: Path) -> None:
    assert statistics.pressure_of(Group(tmp_path / "gone")) == {}
    assert statistics.groups_with_pressure(None) == {}


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "cpu.pressure").mkdir()
    with pytest.raises(errors.HostRefused, match=r"cpu\.pressure"):
        statistics.pressure_of(Group(tmp_path))


@pytest.mark.parametrize(("mounts", "place"), [
    ("cgroup2 /sys/fs/cgroup cgroup2 rw,nosuid 0 0\n", "/sys/fs/cgroup"),
    ("tmpfs /sys/fs/cgroup tmpfs rw 0 0\ncgroup /sys/fs/cgroup/cpu cgroup rw,cpu 0 0\n"
     "cgroup2 /sys/fs/cgroup/unified cgroup2 rw 0 0\n", "/sys/fs/cgroup/unified"),
    ("cgroup /sys/fs/cgroup/cpu cgroup rw,cpu 0 0\n", None)], ids=["v2", "hybrid", "v1"])
def test_where_pressure_is(tmp_path: Path, mounts: str, place: str | None) -> None:
    (tmp_path / "mounts").write_text(mounts)
    assert statistics.pressure_root(tmp_path / "mounts") == (Path(place) if place else None)


def test_every_name_is_in_the_catalog() -> None:
    known = {each.name for each in metric.metrics(TABLE)}
    assert statistics.of_libvirt(RECORD).keys() <= known
