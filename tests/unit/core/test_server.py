# SPDX-License-Identifier: Apache-2.0
"""A server's desired state, and which of two copies of it is the newer one."""

from itertools import permutations

from hypothesis import given
from hypothesis import strategies as st

from nova_qos.core.server import Entries, Entry, Flavor, SavedServer, next_stamp

SERVER = SavedServer("uuid", "host", None, Flavor(512))
NAMES = ("memory", "cpu_priority")
#: A stamp belongs to one change, so two copies with the same stamp tell the same.
stamps = st.dictionaries(st.sampled_from(NAMES), st.integers(1, 9))


def entries(of: dict[str, int]) -> Entries:
    return {name: Entry(100 * stamp, stamp=stamp) for name, stamp in of.items()}


def test_the_later_change_of_each_resource_counts() -> None:
    server = SERVER.having({"memory": Entry(300, stamp=5), "cpu_priority": Entry(7, stamp=5)})
    now = server.updated({"memory": Entry(marked=True, stamp=6), "cpu_priority": Entry(9, stamp=4)})
    assert (now.own, now.marked, now.stamps) == (
        {"cpu_priority": 7}, {"memory"}, {"memory": 6, "cpu_priority": 5})


def test_of_two_with_the_same_stamp_the_servers_own_counts() -> None:
    server = SERVER.having({"memory": Entry(300, stamp=5)})
    assert server.updated({"memory": Entry(400, stamp=5)}) is server
    unstamped = SERVER.having({"memory": Entry(300)})
    assert unstamped.updated({"memory": Entry(400)}) is unstamped


@given(stamps, stamps, stamps)
def test_the_order_in_which_copies_are_found_does_not_matter(
    one: dict[str, int], two: dict[str, int], three: dict[str, int]
) -> None:
    found = []
    for order in permutations([entries(one), entries(two), entries(three)]):
        server = SERVER
        for copy in order:
            server = server.updated(copy)
        found.append(server)
    assert all(each == found[0] for each in found)


@given(st.dictionaries(st.sampled_from(NAMES), st.builds(
    Entry, st.integers(1, 9), st.just(False), st.integers(1, 9)) | st.builds(
        Entry, st.none(), st.booleans(), st.integers(1, 9))))
def test_entries_come_back(state: dict[str, Entry]) -> None:
    assert SERVER.having(state).entries == state


@given(stamps, st.floats(0, 2e9))
def test_a_change_is_later_than_all_that_is_known_whatever_the_clock_says(
    known: dict[str, int], now_s: float
) -> None:
    assert next_stamp(entries(known), now_s) > max(known.values(), default=0)


def test_a_stamp_is_the_time_where_the_clock_is_ahead_of_what_is_known() -> None:
    assert next_stamp({}, 1790000000.25) == 1790000000250
