# SPDX-License-Identifier: Apache-2.0
"""By which weights servers would share a host after a change."""

from collections.abc import Mapping

import pytest

from nova_qos.core.forecast import DEFAULT_NET_WEIGHT, Standing, weights
from nova_qos.core.sharing import Claim, among_processors
from nova_qos.resources import TABLE
from tests.unit.rows import FLAVOR

_DEFAULT = {name: row.default.of(FLAVOR) for name, row in TABLE.items()}
_WEIGHT: dict[str, float | None] = {
    "cpu_priority": 1024, "io_priority": 100, "net_priority": None, "net_in_priority": None}


def standing(weight: Mapping[str, float | None] = _WEIGHT, **requested: int) -> Standing:
    """A running server with these settings."""
    return Standing(dict.fromkeys(TABLE) | requested, _DEFAULT, _WEIGHT | dict(weight),
                    frozenset(TABLE))


def then(
    now: Mapping[str, Standing], changes: Mapping[str, Mapping[str, int | None]], cpus: int = 4
) -> dict[str, dict[str, float | None]]:
    changed = {name: each.changed(changes.get(name, {})) for name, each in now.items()}
    return weights(now, changed, cpus, 4096)


def test_without_a_change_all_stays() -> None:
    now = {"one": standing(), "two": standing()}
    assert then(now, {}) == {
        "cpu_priority": {"one": 1024, "two": 1024}, "io_priority": {"one": 100, "two": 100},
        "net_priority": {"one": None, "two": None}, "net_in_priority": {"one": None, "two": None}}


def test_priorities_of_cpu_and_disk() -> None:
    now = {"one": standing(cpu_priority=500), "two": standing()}
    found = then(now, {"one": {"cpu_priority": None}, "two": {"io_priority": 700}})
    assert found["cpu_priority"] == {"one": 1024, "two": 1024}
    assert found["io_priority"] == {"one": 100, "two": 700}


def test_a_guarantee_raises_a_weight() -> None:
    now = {name: standing() for name in ("one", "two", "three")}
    found = then(now, {"one": {"cpu_guarantee": 50}}, cpus=1)["cpu_priority"]
    percent = among_processors([Claim(found[name], 1) for name in now], 1)
    assert percent[0] == pytest.approx(50, abs=0.1)
    assert found["two"] == found["three"] == 1024


def test_the_first_network_priority_gives_all_a_weight() -> None:
    now = {"one": standing(), "two": standing()}
    assert then(now, {"one": {"net_priority": 9}})["net_priority"] == {
        "one": 90, "two": DEFAULT_NET_WEIGHT}


def test_the_hosts_own_default_weight_is_seen_where_it_can_be() -> None:
    now = {"one": standing({"net_priority": 39}, net_priority=60),
           "two": standing({"net_priority": 26})}
    assert then(now, {"one": {"net_priority": 9}})["net_priority"] == {"one": 90, "two": 26}


def test_the_last_network_priority_takes_the_weights_along() -> None:
    now = {"one": standing({"net_priority": 39}, net_priority=60),
           "two": standing({"net_priority": 26})}
    assert then(now, {"one": {"net_priority": None}})["net_priority"] == {"one": None, "two": None}


def test_a_server_that_does_not_run_takes_no_part() -> None:
    away = Standing(dict.fromkeys(TABLE), _DEFAULT, dict.fromkeys(TABLE), frozenset())
    found = then({"one": standing(), "two": away}, {
        "one": {"net_priority": 9}, "two": {"cpu_priority": 5, "net_priority": 3}})
    assert {name: found[name]["two"] for name in found} == dict.fromkeys(found)
    assert found["net_priority"]["one"] == 90


def test_a_host_without_weights_of_disks() -> None:
    now = {"one": standing({"io_priority": None})}
    assert then(now, {"one": {"io_priority": 700}})["io_priority"] == {"one": None}
