# SPDX-License-Identifier: Apache-2.0
"""Definitions of many domains, some of whose guests hang."""

from typing import Any, cast

import pytest

from nova_qos.core import errors
from nova_qos.virt import definitions
from nova_qos.virt.definition import Definition
from nova_qos.virt.definitions import Definitions

XML = "<domain type='kvm'><name>one</name><memory unit='KiB'>65536</memory></domain>"


class Calls:
    """Those of guests of which some hang; time passes by waiting for these alone."""

    def __init__(self) -> None:
        self.now_s, self.hung, self.asked = 0.0, set[str](), list[str]()

    def describe(self, server_uuid: str, limit_s: float) -> str:
        self.asked.append(server_uuid)
        if server_uuid in self.hung:
            self.now_s += limit_s
            raise errors.HostRefused("it hangs")
        return XML


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Calls:
    calls = Calls()
    monkeypatch.setattr(definitions.time, "monotonic", lambda: calls.now_s)
    return calls


@pytest.fixture
def these(calls: Calls) -> Definitions:
    return Definitions(cast(Any, calls))


def test_a_list_waits_for_two_that_hang_and_not_for_ten(calls: Calls, these: Definitions) -> None:
    hung = [f"hung {number}" for number in range(10)]
    calls.hung = set(hung)
    found = these.of_all(dict.fromkeys(["well", *hung], (1, ("tap0",))))
    assert isinstance(found.pop("well"), Definition)
    assert list(found) == hung
    assert all(isinstance(each, errors.HostRefused) for each in found.values())
    assert calls.now_s <= 2
    assert "nobody has looked at this one" in str(found["hung 9"])


def test_one_that_hangs_is_as_it_was_read_last(calls: Calls, these: Definitions) -> None:
    running = dict.fromkeys(["one", "two"], (1, ("tap0",)))
    first = these.of_all(running)
    calls.hung = {"one"}
    these.forget(None)
    assert these.of_all(running) == first
    assert these.of("one", 1) == first["one"]
    # another start of it may be made of anything else
    refused = these.of_all({**running, "one": (2, ("tap0",))})["one"]
    assert isinstance(refused, errors.HostRefused)
    with pytest.raises(errors.HostRefused, match="it hangs"):
        these.of("one", 2)


def test_it_is_read_again_after_a_change_and_after_five_minutes(
    calls: Calls, these: Definitions
) -> None:
    running = {"one": (1, ("tap0",))}

    def asks(changed: dict[str, tuple[int, tuple[str, ...]]] = running) -> bool:
        calls.asked.clear()
        these.of_all(changed)
        return bool(calls.asked)

    assert [asks(), asks()] == [True, False]
    these.forget("another")
    assert not asks()
    these.forget("one")
    assert [asks(), asks()] == [True, False]
    assert asks({"one": (1, ("tap0", "tap1"))})
    assert asks()
    calls.now_s += 301
    assert asks()


def test_one_is_known_only_where_changes_are_heard_of(calls: Calls, these: Definitions) -> None:
    these.of_all({"one": (1, ())})
    assert these.known("one", 1) is None
    these.watched()
    assert these.known("one", 1) == these.known("one", None) is not None
    assert these.known("one", 2) is None
    these.forget("one")
    assert these.known("one", 1) is None
