# SPDX-License-Identifier: Apache-2.0
"""What the agent tells of its host as a whole."""

import time
from collections.abc import Iterator
from dataclasses import replace

import pytest

from nova_qos.agent.contention import Contention
from nova_qos.agent.loop import Loop
from nova_qos.agent.unfinished import Unfinished
from nova_qos.core import errors
from nova_qos.core.server import Entry
from tests.fakehost import ROOM
from tests.unit.agent.conftest import Site
from tools.bed.memory_records import FLAVOR

FLAVOR_MIB = FLAVOR.memory_mib
USED_MIB, RESERVE_MIB = 64, 32


@pytest.fixture
def contention(site: Site) -> Contention:
    return Contention(site.machine, site.looker)


@pytest.fixture
def loop(site: Site, tmp_path: object) -> Iterator[Loop]:
    loop = Loop(site.looker, site.options, Unfinished(str(tmp_path)))
    yield loop
    loop.stop()


def test_servers_are_loaded_once(site: Site, contention: Contention, loop: Loop) -> None:
    site.add("one")
    assert contention.report()["servers"] == 1
    site.add("two")
    assert contention.report()["servers"] == 1
    loop.check()
    assert contention.report()["servers"] == 2


def test_a_look_adds_a_server_and_forgets_one(site: Site, contention: Contention) -> None:
    site.add("one")
    contention.report()
    site.add("two")
    site.looker.look("two")
    assert contention.report()["servers"] == 2
    del site.records.all["two"], site.machine.domains["two"]
    site.looker.look("two")
    assert contention.report()["servers"] == 1


def test_servers_on_their_way(site: Site, contention: Contention) -> None:
    """One that arrives counts as soon as it runs here, one that has left counts no more."""
    arriving, _domain = site.add("arriving")
    leaving, _domain = site.add("leaving")
    arriving.now = replace(arriving.now, host="elsewhere", task="migrating")
    leaving.now = replace(leaving.now, host="elsewhere")
    del site.machine.domains["leaving"]
    site.looker.roster.remember([arriving, leaving])
    found = contention.report()
    assert (found["servers"], found["running"]) == (1, 1)


def test_what_was_accepted_and_not_saved_yet_counts(site: Site, contention: Contention) -> None:
    _record, domain = site.add("one")
    contention.report()
    site.looker.roster.accepted.add("one", {"memory": Entry(300, stamp=5)}, 60)
    domain.actual_kib = domain.target_kib = 300 * 1024
    found = contention.report()["memory"]
    assert (found["requested"], found["applied"]) == (300, 300)


def test_guarantees_count_as_the_host_counts_them(site: Site, contention: Contention) -> None:
    _record, domain = site.add("one", memory_guarantee=200, cpu_guarantee=30)
    # written, and reduced since the host has promised more than it has
    domain.knob("memory_floor").write({"memory_guarantee": 2**21})
    _other, pinned = site.add("two", memory_guarantee=100)
    pinned.cannot = {"memory_guarantee"}
    _third, waiting = site.add("three", memory_guarantee=50)
    waiting.failure = errors.HostRefused("QEMU may be hanging")
    found = contention.report()
    assert found["memory"]["guaranteed"] == 2**21 + 50
    assert (found["memory"]["unread"], found["state"]) == (1, "short")
    # not applied yet
    assert found["cpu"]["guaranteed"] == 0


def test_a_guest_whose_memory_cannot_be_taken_needs_all(
    site: Site, contention: Contention
) -> None:
    _record, domain = site.add("one")
    site.add("two")
    domain.pinned = "its memory is in huge pages"
    assert contention.report()["memory"]["needs"] == FLAVOR_MIB + USED_MIB + RESERVE_MIB


def test_since_when(site: Site, contention: Contention, monkeypatch: pytest.MonkeyPatch) -> None:
    site.add("one")
    now = 1790000000.0
    monkeypatch.setattr(time, "time", lambda: now)
    first = contention.report()
    now += 10
    assert contention.report()["since"] == first["since"]
    site.machine.own = replace(ROOM, available_mib=1)
    tense = contention.report()
    assert (tense["state"], tense["since"]) == ("tense", "2026-09-21T14:13:30+00:00")
    now += 10
    site.machine.own = ROOM
    assert contention.report()["since"] == "2026-09-21T14:13:40+00:00"


def test_libvirt_is_away(site: Site, contention: Contention) -> None:
    _record, domain = site.add("one")
    site.machine.away = True
    with pytest.raises(errors.HostAway):
        contention.report()
    site.machine.away = False
    domain.failure = errors.HostAway("libvirt does not answer")
    with pytest.raises(errors.HostAway):
        contention.report()
