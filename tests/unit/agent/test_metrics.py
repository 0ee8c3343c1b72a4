# SPDX-License-Identifier: Apache-2.0
"""What a scrape of a host tells; read back by the parser of Prometheus' own library."""

import threading
from concurrent import futures
from dataclasses import replace

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from nova_qos import conf
from nova_qos.agent import metrics
from nova_qos.agent.metrics import HostCollector
from nova_qos.agent.readings import Readings
from nova_qos.core import errors, metric
from nova_qos.core.reading import Reading
from nova_qos.core.source import Assigned, Layer, Source
from nova_qos.resources import TABLE
from tests.pace import LONG_S
from tests.unit.agent.conftest import Site

BUILD = ("1.0", "34.0", "9.0.0")
Samples = dict[str, dict[tuple[str, ...], float]]


def scrape(site: Site, *groups: str, registry: CollectorRegistry | None = None) -> Samples:
    """Samples by name, each by the values of its labels in the order that the catalog has."""
    text = generate_latest(registry or registry_of(site, *groups)).decode()
    order = {metric.PREFIX + each.name: each.all_labels for each in metric.metrics(TABLE)}
    found: Samples = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            labels = order[sample.name]
            assert set(sample.labels) == set(labels), sample.name
            short = sample.name.removeprefix(metric.PREFIX)
            found.setdefault(short, {})[tuple(sample.labels[name] for name in labels)] = (
                sample.value)
    return found


def registry_of(site: Site, *groups: str) -> CollectorRegistry:
    readings = Readings(site.machine, site.looker.history, lambda: Reading(None))
    registry = CollectorRegistry(auto_describe=False)
    registry.register(HostCollector(
        site.looker, readings, groups or metric.GROUPS, BUILD,
        lambda: {"memory": True, "io_priority": False}))
    return registry


def checked(site: Site) -> None:
    """As the check leaves it."""
    site.looker.roster.remember(site.records.all.values())


def test_a_server_with_settings(site: Site) -> None:
    _record, domain = site.add("one", memory=256, cpu_priority=2048, cpu_limit=57)
    domain.shares, domain.actual_kib, domain.target_kib = 2048, 256 * 1024, 256 * 1024
    checked(site)
    found = scrape(site)
    assert found["build_info"] == {BUILD: 1}
    assert found["host_cpus"] == {(): 64}
    assert found["resource_usable"] == {("memory",): 1, ("io_priority",): 0}
    assert found["server_info"] == {
        ("one", "name of one", "project", "flavor", "instance-1"): 1}
    assert found["server_memory_requested_bytes"] == {("one",): 256 * 2**20}
    assert found["server_memory_applied_bytes"] == {("one",): 256 * 2**20}
    assert found["server_cpu_priority_requested_shares"] == {("one",): 2048}
    assert found["server_cpu_priority_applied_shares"] == {("one",): 2048}
    assert found["server_cpu_limit_requested_ratio"] == {("one",): 0.57}
    # nothing limits it yet
    assert "server_cpu_limit_applied_ratio" not in found
    assert found["server_setting_state"] == {
        ("one", "memory", "applied", "server"): 1,
        ("one", "cpu_priority", "applied", "server"): 1,
        ("one", "cpu_limit", "drifted", "server"): 1}
    assert found["server_setting_effective"][("one", "memory")] == 1
    assert found["server_cpu_seconds_total"] == {("one",): 1.0}
    assert found["server_disk_read_bytes_total"] == {("one", "vda"): 0.0}
    assert found["servers_partial"] == {(): 0}
    assert set(found["collector_success"].values()) == {1}
    assert set(found["collector_success"]) == {(name,) for name in metric.COLLECTORS}


def test_what_nobody_has_set_has_a_value_and_no_state(site: Site) -> None:
    site.add("one")
    checked(site)
    found = scrape(site)
    assert found["server_cpu_priority_applied_shares"] == {("one",): 1024}
    assert "server_cpu_priority_requested_shares" not in found
    assert "server_setting_state" not in found
    assert "server_setting_effective" not in found


def test_the_source_of_a_policy(site: Site) -> None:
    site.add("one")
    gold = Layer(Source("policy", "gold", 3), {"cpu_priority": 512})
    site.looker.roster.assigned = lambda server: replace(server, assigned=Assigned((gold,)))
    checked(site)
    found = scrape(site)
    assert found["server_cpu_priority_requested_shares"] == {("one",): 512}
    assert found["server_setting_state"] == {
        ("one", "cpu_priority", "pending", "policy gold"): 1}


def test_shares_of_a_busy_host(site: Site) -> None:
    for uuid, shares in ("one", 3072), ("two", 1024):
        site.add(uuid)[1].shares = shares
    checked(site)
    found = scrape(site)["server_share_ratio"]
    # 64 processors, two vCPUs: each has all that it can use
    assert found[("one", "cpu_priority")] == found[("two", "cpu_priority")] == 1 / 64
    assert found[("one", "io_priority")] == 0.5


def test_some_metrics_alone(site: Site) -> None:
    """As with http://.../metrics?name[]=..."""
    site.add("one", cpu_priority=512)
    checked(site)
    some = registry_of(site).restricted_registry(
        ["nova_qos_host_cpus", "nova_qos_server_cpu_seconds_total"])
    assert scrape(site, registry=some) == {
        "host_cpus": {(): 64}, "server_cpu_seconds_total": {("one",): 1.0}}


def test_a_server_that_is_arriving_has_no_share_yet(site: Site) -> None:
    """Lists of the host do not have it either."""
    for uuid in "one", "two":
        site.add(uuid)
    coming = site.records.all["two"]
    coming.now = replace(coming.now, host="other", task="migrating")
    checked(site)
    found = scrape(site)
    assert found["server_share_ratio"]["one", "io_priority"] == 1
    assert {labels[0] for labels in found["server_share_ratio"]} == {"one"}
    assert found["server_cpu_priority_applied_shares"].keys() == {("one",), ("two",)}


def test_a_server_that_does_not_run(site: Site) -> None:
    site.records.add("one", cpu_priority=512)
    checked(site)
    found = scrape(site)
    assert found["server_info"].keys() == {
        ("one", "name of one", "project", "flavor", "instance-1")}
    assert found["server_cpu_priority_requested_shares"] == {("one",): 512}
    assert "server_cpu_seconds_total" not in found
    assert set(found["collector_success"].values()) == {1}


def test_a_guest_that_hangs_is_partial(site: Site) -> None:
    for uuid in "one", "two":
        site.add(uuid)
    site.machine.domains["one"].silent = True
    checked(site)
    found = scrape(site)
    assert found["servers_partial"] == {(): 1}
    assert found["server_memory_resident_bytes"].keys() == {("two",)}
    assert found["server_cpu_seconds_total"].keys() == {("one",), ("two",)}


def test_libvirt_away(site: Site) -> None:
    site.add("one", cpu_priority=512)
    checked(site)
    site.machine.away = True
    found = scrape(site)
    assert found["collector_success"][("libvirt",)] == 0
    assert found["server_cpu_priority_requested_shares"] == {("one",): 512}
    assert found["server_info"]
    for name in ("server_cpu_seconds_total", "server_cpu_priority_applied_shares",
                 "server_setting_state", "servers_partial", "host_cpus"):
        assert name not in found


def test_what_was_requested_of_a_server_that_cannot_be_read(site: Site) -> None:
    """As of a guest whose definition libvirt does not tell."""
    for uuid in "one", "two":
        site.add(uuid, cpu_priority=512)
    checked(site)
    taken = site.machine.snapshot

    def snapshot(*args: object, **kwargs: object) -> object:
        seen = taken(["cpu_group"])
        domain = seen.domain

        def of(uuid: str) -> object:
            if uuid == "one":
                raise errors.HostRefused("the guest's QEMU does not answer")
            return domain(uuid)

        seen.domain = of
        return seen

    site.machine.snapshot = snapshot
    found = scrape(site, "settings")
    assert found["collector_success"]["settings",] == 0
    assert found["server_cpu_priority_requested_shares"] == {("one",): 512, ("two",): 512}
    assert found["server_cpu_priority_applied_shares"].keys() == {("two",)}


def test_libvirt_that_goes_away_meanwhile_is_waited_for_once(site: Site) -> None:
    for uuid in "one", "two", "three":
        site.add(uuid, cpu_priority=512)
    checked(site)
    taken, asked = site.machine.snapshot, []

    def snapshot(*args: object, **kwargs: object) -> object:
        seen = taken(["cpu_group"])

        def away(uuid: str) -> object:
            asked.append(uuid)
            raise errors.HostAway("libvirt does not answer")

        seen.domain = away
        return seen

    site.machine.snapshot = snapshot
    found = scrape(site, "settings")
    # the others are for their figures
    assert len(asked) == 1 + 3
    assert found["collector_success"]["settings",] == 0
    assert len(found["server_cpu_priority_requested_shares"]) == 3
    assert "server_share_ratio" not in found


def test_why_a_collector_fails_is_logged_once(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    """The alert leads to the log."""
    caplog.set_level("INFO")
    site.add("one")
    checked(site)
    registry = registry_of(site)
    site.machine.domains["one"].unreadable = errors.HostRefused("cpu.pressure: no access")
    for _ in range(3):
        scrape(site, registry=registry)
    site.machine.domains["one"].unreadable = None
    for _ in range(3):
        scrape(site, registry=registry)
    assert [each.getMessage() for each in caplog.records] == [
        "Metrics of the collector cgroup are missing: cpu.pressure: no access",
        "All metrics of the collector cgroup are there again"]


def test_groups_that_cannot_be_listed(site: Site) -> None:
    """Their metrics are missing, and the others are there."""
    site.add("one", cpu_priority=512)
    checked(site)

    def snapshot(*args: object, **kwargs: object) -> object:
        raise PermissionError(13, "Permission denied", "/sys/fs/cgroup")

    site.machine.snapshot = snapshot
    found = scrape(site)
    assert found["collector_success"]["libvirt",] == 0
    assert found["server_cpu_priority_requested_shares"] == {("one",): 512}


def test_a_file_that_cannot_be_read_spoils_its_figure_alone(site: Site) -> None:
    for uuid in "one", "two":
        site.add(uuid)
    site.machine.domains["one"].unreadable = errors.HostRefused("a file")
    checked(site)
    found = scrape(site)
    assert found["collector_success"] == {
        ("libvirt",): 1, ("cgroup",): 0, ("network",): 1, ("settings",): 1}
    assert found["server_pressure_cpu_waiting_seconds_total"].keys() == {("two",)}
    assert found["server_cpu_seconds_total"].keys() == {("one",), ("two",)}
    assert found["servers_partial"] == {(): 0}


def test_groups_that_are_switched_off(site: Site) -> None:
    site.add("one", cpu_priority=512)
    checked(site)
    found = scrape(site, "cpu")
    assert found["server_cpu_seconds_total"]
    assert found["server_info"]
    kept = {each.name for each in metric.metrics(TABLE) if each.group in (None, "cpu")}
    assert found.keys() <= kept


def test_what_the_agent_counts(site: Site) -> None:
    _record, domain = site.add("one", cpu_priority=512)
    site.looker.look("one")
    checked(site)
    assert scrape(site)["memory_retaken_total"] == {(): 0}
    assert set(scrape(site)["corrections_total"].values()) == {0}
    domain.shares = 77
    site.looker.look("one")
    assert scrape(site)["corrections_total"]["cpu_priority",] == 1
    # a start loses the value, which is nobody's fault
    site.looker.history.restarted("one")
    domain.shares = 1024
    site.looker.look("one")
    assert domain.shares == 512
    assert sum(scrape(site)["corrections_total"].values()) == 1


def test_a_guest_that_follows_slowly_is_one_correction(site: Site) -> None:
    _record, domain = site.add("one", memory=256)
    site.looker.look("one")
    checked(site)
    for corrections in 1, 2:
        domain.actual_kib = domain.target_kib = 400 * 1024
        domain.balloon_step_kib = 10 * 1024
        for _ in range(12):
            site.looker.look("one")
        assert domain.actual_kib == 256 * 1024
        assert scrape(site)["corrections_total"]["memory",] == corrections


def test_memory_that_a_guest_takes_back(site: Site) -> None:
    _record, domain = site.add("one", memory=256)
    site.looker.look("one")
    domain.autodeflates, domain.actual_kib, domain.balloon_step_kib = True, 400 * 1024, 0
    site.looker.look("one")
    checked(site)
    found = scrape(site)
    assert found["memory_retaken_total"] == {(): 1}
    assert ("one", "memory", "deflated", "server") in found["server_setting_state"]


def test_a_scrape_does_not_change_what_get_qos_says(site: Site) -> None:
    _record, domain = site.add("one", cpu_priority=2048)
    site.looker.look("one")
    checked(site)
    registry = registry_of(site)
    readings = Readings(site.machine, site.looker.history, lambda: Reading(None))
    # it keeps what it has read
    scrape(site, registry=registry)
    domain.shares, domain.refuse = 77, {"cpu_priority"}
    site.looker.look("one")
    before = readings.of("one", ["cpu_priority"])["cpu_priority"]
    assert before.unmet == "refused"
    scrape(site, registry=registry)
    assert readings.of("one", ["cpu_priority"])["cpu_priority"] == before


def test_names_are_text_and_no_syntax(site: Site) -> None:
    site.add("one")
    checked(site)
    odd = 'a"b\\c\n{x="y"} 1\nnova_qos_host_cpus 5'
    site.looker.roster.called = {"one": replace(site.looker.roster.called["one"], name=odd)}
    found = scrape(site)
    assert [labels[1] for labels in found["server_info"]] == [odd]
    assert found["host_cpus"] == {(): 64}


def test_scrapes_at_the_same_time(site: Site) -> None:
    for number in range(20):
        site.add(str(number))
    checked(site)
    registry = registry_of(site)
    with futures.ThreadPoolExecutor(8) as threads:
        texts = list(threads.map(lambda _: scrape(site, registry=registry), range(16)))
    assert all(len(each["server_cpu_seconds_total"]) == 20 for each in texts)


def test_a_host_that_does_not_answer_keeps_no_second_scrape(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(metrics, "_TURN_S", 0.1)
    site.add("one", cpu_priority=512)
    checked(site)
    registry, entered, over = registry_of(site), threading.Event(), threading.Event()
    snapshot = site.machine.snapshot

    def hang(*args: object, **kwargs: object) -> object:
        entered.set()
        over.wait(2 * LONG_S)
        return snapshot([])

    site.machine.snapshot = hang
    with futures.ThreadPoolExecutor(1) as thread:
        first = thread.submit(scrape, site, registry=registry)
        assert entered.wait(LONG_S)
        found = scrape(site, registry=registry)
        assert set(found["collector_success"].values()) == {0}
        assert found["server_info"]
        assert "server_cpu_seconds_total" not in found
        over.set()
        assert first.result()["server_cpu_seconds_total"]


@pytest.mark.parametrize("row", TABLE.values(), ids=TABLE)
def test_every_resource_has_its_metrics(site: Site, row) -> None:
    value = 17 if row.name.endswith("priority") else 4096
    flavor = replace(site.records.add("one").server.flavor, vcpus=64, memory_mib=2**14)
    record = site.records.all["one"]
    least, most = row.value.range_of(flavor)
    value = min(max(value, least), most)
    record.now = replace(record.now, own={row.name: value}, flavor=flavor)
    checked(site)
    unit, factor = row.unit.base
    name = f"server_{row.name}_requested" + (f"_{unit}" if unit else "")
    assert scrape(site)[name] == {("one",): pytest.approx(value * factor)}


def test_groups_are_those_of_the_option() -> None:
    assert conf.METRICS_GROUPS == metric.GROUPS
    assert {each.group for each in metric.metrics(TABLE)} == {None, *metric.GROUPS}


def test_names_are_unique_and_follow_the_conventions() -> None:
    names = [each.name for each in metric.metrics(TABLE)]
    assert len(names) == len(set(names))
    for each in metric.metrics(TABLE):
        assert each.name.endswith("_total") == (each.kind == "counter"), each.name
        assert each.help.endswith("."), each.name
        assert not {"instance", "host", "job"} & set(each.labels), each.name
