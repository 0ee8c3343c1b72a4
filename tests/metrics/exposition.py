# SPDX-License-Identifier: Apache-2.0
"""What the agent of a host with two busy servers shows, every metric among it; no agent needed."""

from collections.abc import Iterator

_SERVERS = {"a1": "vm1", "b2": "vm2"}
#: Each row of the table as it is shown, with the server's value; requested and applied alike.
_ROWS = {
    "memory_{}_bytes": 2**30, "memory_soft_limit_{}_bytes": 2**30,
    "memory_guarantee_{}_bytes": 2**29, "memory_priority_{}_weight": 100,
    "cpu_priority_{}_shares": 1024, "cpu_limit_{}_ratio": 2, "cpu_guarantee_{}_ratio": 0.5,
    "io_priority_{}_weight": 100, "io_limit_{}_operations_per_second": 1000,
    "io_rate_limit_{}_bytes_per_second": 2**20, "net_priority_{}": 50,
    "net_limit_{}_bytes_per_second": 2**20, "net_guarantee_{}_bytes_per_second": 2**19,
    "net_in_priority_{}": 50, "net_in_limit_{}_bytes_per_second": 2**20,
    "net_in_guarantee_{}_bytes_per_second": 2**19,
}
#: Counters of a server, by how much each rises in a second.
_COUNTERS = {
    "cpu_seconds_total": 1.1, "vcpu_seconds_total": 1.0, "vcpu_delay_seconds_total": 0.02,
    **{f"pressure_{name}_{kind}_seconds_total": 0.01
       for name in ("cpu", "memory", "io") for kind in ("waiting", "stalled")},
    "memory_swapped_in_bytes_total": 4096, "memory_swapped_out_bytes_total": 4096,
    "memory_major_faults_total": 1,
}
_OF_DEVICES = {
    **{f"disk_{name}_total": 10 for name in (
        "read_bytes", "written_bytes", "reads_completed", "writes_completed")},
    **{f"disk_{name}_time_seconds_total": 0.1 for name in ("read", "write")},
    **{f"network_{way}_{name}_total": 10
       for way in ("receive", "transmit") for name in ("bytes", "packets", "drop")},
}
_OF_UPLINKS = {f"uplink_{name}_total": 10 for name in (
    "sent_bytes", "sent_packets", "dropped_packets", "lent_packets", "borrowed_packets")}
_SIZES = {
    **{f"memory_{name}_bytes": 2**29 for name in ("usable", "available", "resident")},
    **{f"balance_{name}_bytes": 2**29 for name in ("wanted", "lent", "lacking")},
}
_UPLINK_SIZES = {f"uplink_{name}": 1000 for name in (
    "backlog_bytes", "backlog_packets", "guaranteed_bytes_per_second")}

#: A metric's name without its prefix, its labels and its value.
Sample = tuple[str, str, float]


def samples(seconds: float, now: float) -> Iterator[Sample]:
    """The samples after so many seconds of work."""
    yield "host_cpus", "", 4
    yield "host_memory_bytes", "", 2**36
    yield "host_memory_available_bytes", "", 2**34
    yield "build_info", 'version="1.0",nova="32.0.0",libvirt="9.0.0"', 1
    yield "servers_partial", "", 0
    yield "memory_retaken_total", "", 1
    yield "corrections_total", 'resource="cpu_priority"', 1
    yield "sets_total", 'resource="cpu_priority",result="applied"', 1
    for state in ("calm", "tense", "short"):
        yield "balance_state", f'state="{state}"', float(state == "calm")
    yield "balance_room_bytes", "", 2**35
    yield "balance_moves_total", "", 10
    yield "balance_servers", 'condition="stuck"', 0
    yield "resource_usable", 'resource="cpu_priority"', 1
    for collector in ("libvirt", "cgroup", "network", "settings"):
        yield "collector_success", f'collector="{collector}"', 1
        yield "collector_duration_seconds", f'collector="{collector}"', 0.01
    for kind in ("whole", "unknown"):
        yield "uplink_sent_bytes_total", f'uplink="bond0",kind="{kind}"', 1000 * seconds
    yield "uplink_rate_bytes_per_second", 'uplink="bond0"', 2**27
    for server_id, name in _SERVERS.items():
        yield from ((f"server_{metric}", labels, value) for metric, labels, value in
                    _of_server(server_id, name, seconds, now))


def _of_server(server_id: str, name: str, seconds: float, now: float) -> Iterator[Sample]:
    me = f'server_id="{server_id}"'
    yield "info", f'{me},name="{name}",project_id="p",flavor="small",domain="instance-{name}"', 1
    yield "vcpus", me, 2
    yield "memory_report_timestamp_seconds", me, now - 5
    for metric, value in _ROWS.items():
        yield metric.format("requested"), me, value
        yield metric.format("applied"), me, value
    # no alert fires for a limit that is not set, and the panels of it show nothing
    for resource in ("cpu_priority", "io_priority", "net_priority", "memory"):
        labels = f'{me},resource="{resource}"'
        yield "setting_state", f'{labels},state="applied",source="server"', 1
        yield "setting_effective", labels, 1
        if resource != "memory":
            yield "share_ratio", labels, 0.25
    for metric, each_second in _COUNTERS.items():
        yield metric, me, each_second * seconds
    for metric, each_second in _OF_DEVICES.items():
        device = "vda" if metric.startswith("disk") else "tap0"
        yield metric, f'{me},device="{device}"', each_second * seconds
    for metric, each_second in _OF_UPLINKS.items():
        yield metric, f'{me},uplink="bond0"', each_second * seconds
    yield from ((metric, me, value) for metric, value in _SIZES.items())
    yield from ((metric, f'{me},uplink="bond0"', value) for metric, value in _UPLINK_SIZES.items())


def text(seconds: float, now: float) -> str:
    """The samples as Prometheus reads them."""
    by_name: dict[str, list[str]] = {}
    for metric, labels, value in samples(seconds, now):
        name = f"nova_qos_{metric}"
        by_name.setdefault(name, []).append(f"{name}{{{labels}}} {value}")
    return "".join(
        f"# HELP {name} A metric.\n# TYPE {name} "
        f"{'counter' if name.endswith('_total') else 'gauge'}\n" + "\n".join(lines) + "\n"
        for name, lines in by_name.items())


def names() -> set[str]:
    """Every metric of the agent's."""
    return {f"nova_qos_{metric}" for metric, _, _ in samples(0, 0)}
