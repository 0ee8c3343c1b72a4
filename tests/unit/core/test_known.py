# SPDX-License-Identifier: Apache-2.0
"""What the host's copy of the policies explains."""

from dataclasses import replace

import pytest

from nova_qos.core.desired import target
from nova_qos.core.known import Copy, Known, in_words
from nova_qos.core.policy import Catalog
from nova_qos.core.reading import LEFT_IN_PLACE, Reading
from nova_qos.core.report import report
from nova_qos.core.server import Flavor
from nova_qos.core.source import SERVER, Source
from nova_qos.resources import TABLE

IO, FLAVOR = TABLE["io_priority"], Flavor(512)
GOLD = target(IO, FLAVOR, 700, Source("policy", "gold", 3))
CATALOG = Catalog("x", 7)
BEHIND = "the host has yet to get revision 3 of policy gold"
#: What a host says of a value that it does not hold.
OTHERS = [Reading(300), Reading(300, unmet="refused", reason="no room"),
          Reading(300, unmet="drifted", reason=LEFT_IN_PLACE),
          Reading(300, unmet="deflated", reason="the guest took it back")]


def told(copy: Copy | None, reading: Reading, wanted: object = GOLD) -> tuple[object, object]:
    assert isinstance(wanted, type(GOLD))
    shown = report(IO, wanted, FLAVOR, reading, known=Known(CATALOG, copy))
    return shown["state"], shown["reason"]


@pytest.mark.parametrize("revision", [None, 6])
@pytest.mark.parametrize("reading", OTHERS)
def test_an_older_copy_is_the_reason_for_every_other_value(
    reading: Reading, revision: int | None
) -> None:
    assert told(Copy(revision, 40), reading) == ("pending", BEHIND)


@pytest.mark.parametrize("reading", OTHERS)
def test_with_a_current_copy_the_host_tells_why(reading: Reading) -> None:
    expected = told(None, reading)
    assert expected[0] == (reading.unmet or "pending")
    for revision in (7, 8):
        assert told(Copy(revision, 40), reading) == expected


@pytest.mark.parametrize(("age_s", "words"), [
    (40, "its copy is 40 s old"), (200, "its copy is 3 min old"), (None, "it has no copy")])
def test_an_agent_that_cannot_fetch_says_so(age_s: int | None, words: str) -> None:
    copy = Copy(6, age_s, "the API does not answer")
    more = f"its agent could not fetch policies lately (the API does not answer), {words}"
    assert told(copy, Reading(300)) == ("pending", f"{BEHIND}; {more}")
    refused = Reading(300, unmet="refused", reason="no room")
    assert told(replace(copy, revision=7), refused) == ("refused", f"no room; {more}")


def test_users_are_not_told_why() -> None:
    copy = Copy(6, 40, "http://192.0.2.1:8774 answered 403")
    assert copy.for_users() == Copy(6, 40, "its log says why")
    assert Copy(6, 40).for_users() == Copy(6, 40)


@pytest.mark.parametrize("copy", [Copy(6, 40, "away"), Copy(None, None, "away")])
def test_what_is_in_force_or_somebody_elses_has_no_such_reason(copy: Copy) -> None:
    assert told(copy, Reading(700)) == ("applied", None)
    own = target(IO, FLAVOR, 700, SERVER)
    assert told(copy, Reading(300), own) == told(None, Reading(300), own)


@pytest.mark.parametrize("unmet", ["pending", "unsupported"])
def test_what_cannot_be_read_has_its_own_reason(unmet: str) -> None:
    unread = Reading(None, effective=False, reason="stopped", unmet=unmet)  # type: ignore[arg-type]
    assert told(Copy(6, 40, "away"), unread) == (unmet, "stopped")


def test_an_older_agent_is_told_as_such() -> None:
    for reading in (None, Reading(None, unmet="unsupported")):
        copy = Copy.of(reading)
        for held in (*OTHERS, Reading(700)):
            assert told(copy, held) == (
                "unsupported", "the host's agent is older than named policies; upgrade it")
        own = target(IO, FLAVOR, 700, SERVER)
        assert told(copy, Reading(700), own) == ("applied", None)


def test_a_copy_as_its_agent_tells_of_it() -> None:
    assert Copy.of(Reading(7, reason="away", details={"age_s": 5})) == Copy(7, 5, "away")
    assert Copy.of(Reading(None)) == Copy()


@pytest.mark.parametrize(("age_s", "words"), [
    (0, "0 s"), (59, "59 s"), (60, "1 min"), (3599, "59 min"), (7200, "2 h"), (172799, "47 h"),
    (172800, "2 days"), (2592000, "30 days")])
def test_a_time_is_told_in_one_unit(age_s: int, words: str) -> None:
    assert in_words(age_s) == words
