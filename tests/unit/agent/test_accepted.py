# SPDX-License-Identifier: Apache-2.0
"""Sets that were carried out, until the API has saved them."""

import time

from nova_qos.agent.accepted import Accepted
from nova_qos.core.server import Entry, Flavor, SavedServer

OLD = SavedServer("one", "host", None, Flavor(512)).having({"memory": Entry(300, stamp=5)})


def test_what_was_accepted_counts_until_it_is_saved() -> None:
    accepted = Accepted()
    accepted.add("one", {"memory": Entry(400, stamp=6)}, 60)
    assert accepted.newest(OLD).own == {"memory": 400}
    later = OLD.having({"memory": Entry(500, stamp=7)})
    assert accepted.newest(later) is later


def test_a_second_set_adds_to_the_first() -> None:
    accepted = Accepted()
    accepted.add("one", {"memory": Entry(400, stamp=7)}, 60)
    accepted.add("one", {"cpu_priority": Entry(9, stamp=6), "memory": Entry(1, stamp=6)}, 60)
    assert accepted.newest(OLD).own == {"memory": 400, "cpu_priority": 9}


def test_what_was_never_saved_is_forgotten_after_its_time() -> None:
    accepted = Accepted()
    accepted.add("one", {"memory": Entry(400, stamp=6)}, 0.05)
    time.sleep(0.1)
    assert accepted.newest(OLD) is OLD


def test_what_was_never_saved_is_told_once() -> None:
    accepted = Accepted()
    accepted.add("one", {"memory": Entry(400, stamp=6)}, 0.05)
    accepted.add("two", {"memory": Entry(400, stamp=6)}, 60)
    time.sleep(0.1)
    assert accepted.overdue() == {"one": {"memory": Entry(400, stamp=6)}}
    assert accepted.overdue() == {}


def test_what_cannot_be_saved_is_dropped_but_nothing_later() -> None:
    accepted = Accepted()
    refused = {"memory": Entry(400, stamp=6), "cpu_priority": Entry(9, stamp=6)}
    accepted.add("one", refused, 60)
    accepted.add("one", {"cpu_priority": Entry(10, stamp=7)}, 60)
    accepted.drop("one", refused)
    accepted.drop("two", refused)
    assert accepted.newest(OLD).own == {"memory": 300, "cpu_priority": 10}
