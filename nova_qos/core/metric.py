# SPDX-License-Identifier: Apache-2.0
"""The metrics of a host and its servers: every name, what it counts, and where it comes from."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from nova_qos.core.resource import Resource, Rows

#: What every name begins with.
PREFIX = "nova_qos_"
#: Those that can be left out (``conf.METRICS_GROUPS``); the others are always there.
GROUPS = ("settings", "cpu", "pressure", "memory", "disk", "network", "uplink")
#: What reads the host for them.
COLLECTORS = ("libvirt", "cgroup", "network", "settings")
Stage = Literal["requested", "applied"]
STAGES: tuple[Stage, ...] = ("requested", "applied")


@dataclass(frozen=True)
class Metric:
    """One metric family, its name without ``PREFIX``.

    Names that begin with ``server_`` have the label ``server_id`` before ``labels``. ``group`` is
    one of ``GROUPS``, or None; ``source`` tells in a few words what the number is read from.
    """

    name: str
    kind: Literal["counter", "gauge"]
    help: str
    source: str
    group: str | None = None
    labels: tuple[str, ...] = ()

    @property
    def all_labels(self) -> tuple[str, ...]:
        """The names of its labels, in the order of their values."""
        return (("server_id",) if self.name.startswith("server_") else ()) + self.labels


def name_of(row: Resource, stage: Stage) -> str:
    """The metric of a resource's value, in the base unit: bytes, and not MiB."""
    return "_".join(filter(None, ("server", row.name, stage, row.unit.base[0])))


def metrics(table: Rows) -> tuple[Metric, ...]:
    """All metrics, in the order in which pages list them."""
    return (*_ABOUT, *_of_settings(table), *_OF_STATES, *_CPU, *_PRESSURE, *_MEMORY, *_DISK,
            *_NETWORK, *_UPLINK, *_BALANCE, *_AGENT)


def _of_settings(table: Rows) -> Iterator[Metric]:
    words: dict[Stage, str] = {
        "requested": "as it is requested; absent where nothing is",
        "applied": "as the host holds it; absent where nothing is in force, or can be read"}
    sources: dict[Stage, str] = {
        "requested": "the resolver, from what nova has saved and the named policies",
        "applied": "the reading of get-qos"}
    for row in table.values():
        for stage in STAGES:
            title = row.title[0].upper() + row.title[1:]
            yield Metric(name_of(row, stage), "gauge", f"{title} {words[stage]}.", sources[stage],
                         "settings")


def _counter(name: str, text: str, source: str, group: str | None, *labels: str) -> Metric:
    return Metric(name, "counter", text, source, group, labels)


def _gauge(name: str, text: str, source: str, group: str | None, *labels: str) -> Metric:
    return Metric(name, "gauge", text, source, group, labels)


_ABOUT = (
    _gauge("build_info", "1; the versions of nova-qos, nova and libvirt.", "the agent", None,
           "version", "nova", "libvirt"),
    _gauge("host_cpus", "The processors of the host that servers share.",
           "[compute] cpu_shared_set; none of them with cpu_dedicated_set alone; the kernel "
           "where neither is set", None),
    _gauge("host_memory_bytes", "The memory of the host.", "/proc/meminfo: MemTotal", None),
    _gauge("host_memory_available_bytes", "Memory of the host that could be used without swapping, "
           "as the kernel estimates it.", "/proc/meminfo: MemAvailable", None),
    _gauge("server_info", "1; what a server is called: its name, project and flavor in nova, and "
           "its domain in libvirt.", "nova, at the last check", None,
           "name", "project_id", "flavor", "domain"),
    _gauge("server_vcpus", "The vCPUs of a running server.", "libvirt: vcpu.current", "cpu"),
)

_OF_STATES = (
    _gauge("server_setting_state", "1; the present state of a resource that is set, and whose wish "
           "it is. Resources that nobody has set have none.", "the report of get-qos", "settings",
           "resource", "state", "source"),
    _gauge("server_setting_effective", "Whether the value that is applied has an effect here: 1 or "
           "0.", "the report of get-qos", "settings", "resource"),
    _gauge("server_share_ratio", "The part of the host that a server gets while all servers are "
           "busy, 0 to 1.", "the weights of all servers of the host", "settings", "resource"),
)

_CPU = (
    _counter("server_cpu_seconds_total", "CPU time of a server, its emulator's included.",
             "libvirt: cpu.time", "cpu"),
    _counter("server_vcpu_seconds_total", "CPU time of a server's vCPUs together.",
             "libvirt: vcpu.N.time", "cpu"),
    _counter("server_vcpu_delay_seconds_total", "Time that a server's vCPUs could have run, and "
             "waited for a processor: steal.", "libvirt: vcpu.N.delay", "cpu"),
)

_PRESSURE = tuple(
    _counter(f"server_pressure_{resource}_{how}_seconds_total",
             f"Time that {whom} of a server's threads waited for {what}.",
             f"the server's {resource}.pressure: {line}", "pressure")
    for resource, what in (("cpu", "a processor"), ("memory", "memory to become free"),
                           ("io", "the disk"))
    for how, whom, line in (("waiting", "some", "some"), ("stalled", "all", "full")))

_MEMORY = (
    *(_gauge(f"server_memory_{name}_bytes", text, f"libvirt: balloon.{source}", "memory")
      for name, text, source in (
          ("usable", "Memory that a guest could give up without swapping, as it says.", "usable"),
          ("available", "Memory that a guest's kernel manages, as it says.", "available"),
          ("resident", "Memory of the host that a server's QEMU has.", "rss"))),
    _gauge("server_memory_report_timestamp_seconds", "When a guest's balloon driver last reported, "
           "in seconds since 1970.", "libvirt: balloon.last-update", "memory"),
    _counter("server_memory_swapped_in_bytes_total", "What a guest has read from its swap.",
             "libvirt: balloon.swap_in", "memory"),
    _counter("server_memory_swapped_out_bytes_total", "What a guest has written to its swap.",
             "libvirt: balloon.swap_out", "memory"),
    _counter("server_memory_major_faults_total", "Page faults of a guest that needed its disk.",
             "libvirt: balloon.major_fault", "memory"),
)

_DISK = tuple(
    _counter(f"server_disk_{name}_total", text, f"libvirt: block.N.{source}", "disk", "device")
    for name, text, source in (
        ("read_bytes", "What a server has read from a disk.", "rd.bytes"),
        ("written_bytes", "What a server has written to a disk.", "wr.bytes"),
        ("reads_completed", "Reads from a disk that have ended.", "rd.reqs"),
        ("writes_completed", "Writes to a disk that have ended.", "wr.reqs"),
        ("read_time_seconds", "Time that reads from a disk took.", "rd.times"),
        ("write_time_seconds", "Time that writes to a disk took.", "wr.times")))

_NETWORK = tuple(
    _counter(f"server_network_{way}_{what}_total", f"{words} a server's guest {verb} on a network "
             "interface.", f"libvirt: net.N.{source}.{counted}", "network", "device")
    for way, verb, source in (("receive", "received", "rx"), ("transmit", "sent", "tx"))
    for what, words, counted in (("bytes", "Bytes that", "bytes"), ("packets", "Packets that",
                                 "pkts"), ("drop", "Packets dropped before", "drop")))

_CLASS = "the kernel's count of the server's HTB class"
_UPLINK = (
    *(_counter(f"server_uplink_{name}_total", text, _CLASS, "uplink", "uplink") for name, text in (
        ("sent_bytes", "Bytes of a server that its class let pass."),
        ("sent_packets", "Packets of a server that its class let pass."),
        ("dropped_packets", "Packets of a server that its class dropped, its queue being full."),
        ("lent_packets", "Packets of a server within what its class is guaranteed."),
        ("borrowed_packets", "Packets of a server beyond that, with what others left."))),
    *(_gauge(f"server_uplink_{name}", text, _CLASS, "uplink", "uplink") for name, text in (
        ("backlog_bytes", "Bytes of a server that wait in its class."),
        ("backlog_packets", "Packets of a server that wait in its class."),
        ("guaranteed_bytes_per_second", "What a server's class is guaranteed."))),
    _counter("uplink_sent_bytes_total", "Bytes that passed our tree: of all servers, or of guests "
             "that no server is known for.", "the kernel's count of the HTB classes 5ca1:1 and "
             "5ca1:fffe", "uplink", "uplink", "kind"),
    _gauge("uplink_rate_bytes_per_second", "What servers may pass together: [tc] htb_rate, or "
           "htb_rate_in.", "HTB class 5ca1:1", "uplink", "uplink"),
)

_PLAN = "the balancer's last look; absent while [nova_qos_balance] mode is off"
_BALANCE = (
    _gauge("balance_state", "1 for the state of the host's memory as its balancer sees it: calm, "
           "tense or short; 0 for the others.", _PLAN, None, "state"),
    _gauge("balance_room_bytes", "Memory that the host has for the servers that are balanced.",
           _PLAN, None),
    _counter("balance_moves_total", "How often a guest was told another size to balance memory.",
             "the agent, since its start", None),
    _gauge("balance_servers", "Servers that lack memory (distressed), that took memory back and "
           "keep it for a while (holds), whose balloon does not follow (stuck), or whose guest's "
           "report is old (stale).", _PLAN, None, "condition"),
    *(_gauge(f"server_balance_{name}_bytes", text, _PLAN, "memory") for name, text in (
        ("wanted", "Memory that the plan comes to for a server."),
        ("lent", "What a server has lent of its guarantee, while it does not use that."),
        ("lacking", "What a server has less than it needs."))),
)

_AGENT = (
    Metric("corrections_total", "counter", "How often the agent put a value right that another "
           "program had changed.", "the agent, since its start", None, ("resource",)),
    Metric("memory_retaken_total", "counter", "How often a guest took back the memory that it had "
           "given.", "the agent, since its start"),
    Metric("sets_total", "counter", "Settings that were requested, by what became of them: "
           "applied, pending or failed.", "the agent, since its start", None,
           ("resource", "result")),
    _gauge("resource_usable", "Whether this host can apply a resource with effect: 1 or 0.",
           "the survey of nova-qos-agent --check, at the agent's start", None, "resource"),
    _gauge("servers_partial", "Running servers of which libvirt did not tell all figures, since "
           "their QEMU does not answer.", "libvirt", None),
    _gauge("collector_success", "Whether all that a collector reads could be read: 1 or 0.",
           "the agent", None, "collector"),
    _gauge("collector_duration_seconds", "How long a collector took for this scrape.",
           "the agent", None, "collector"),
)
