# SPDX-License-Identifier: Apache-2.0
"""What versions of nft list of the rules that forward to servers' classes.

The listings were recorded from Debian's nft 1.0.6 and 1.1.3, each of a table that the same version
has made. A program of that name prints them here.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nova_qos.net import forwards, nft
from nova_qos.net.forwards import ForwardTable
from nova_qos.net.layout import Rules
from nova_qos.net.marks import Marks

LISTINGS = sorted((Path(__file__).parent / "listings").glob("forwards-*.json"))
each_listing = pytest.mark.parametrize("listing", LISTINGS, ids=lambda each: each.stem)
Lists = Callable[[Path], ForwardTable]


def marks_of(listing: Path) -> Marks:
    return Marks(0xFF00 if listing.stem.endswith("-ff00") else 0x1FFF)


@pytest.fixture
def table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lists:
    """A table as an nft that lists this reads it."""
    def make(listing: Path) -> ForwardTable:
        program = tmp_path / "nft"
        program.write_text(f"#!/bin/sh\ncat {listing}\n")
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
        return ForwardTable("nova_qos_in", marks_of(listing))

    return make


def changed(listing: Path, tmp_path: Path, change: Callable[[dict[str, Any]], None]) -> Path:
    """The listing with each rule changed; keeps what tells the mask."""
    listed = json.loads(listing.read_text())
    for each in listed["nftables"]:
        if "rule" in each:
            change(each["rule"])
    other = tmp_path / listing.name
    other.write_text(json.dumps(listed))
    return other


@each_listing
def test_each_version_reads_the_same(table: Lists, listing: Path) -> None:
    marks = marks_of(listing)
    assert table(listing).read() == Rules(
        gates={3, 4}, taps={3: marks.with_priority[0], 4: marks.without_priority[0]})


@each_listing
@pytest.mark.parametrize("device", ["tap0", 6, "6"])
def test_a_rule_to_another_device_is_not_ours(
    table: Lists, tmp_path: Path, listing: Path, device: object
) -> None:
    """Such as to one that has gone, of which the number alone is left."""
    def lead_elsewhere(rule: dict[str, Any]) -> None:
        for part in rule["expr"]:
            if "fwd" in part:
                part["fwd"]["dev"] = device

    found = table(changed(listing, tmp_path, lead_elsewhere)).read()
    assert found == Rules(gates={3, 4}, foreign={"to3", "to4"})


@each_listing
def test_a_changed_rule_is_not_ours(table: Lists, tmp_path: Path, listing: Path) -> None:
    def let_nobody_pass(rule: dict[str, Any]) -> None:
        rule["expr"] = [part for part in rule["expr"] if "match" not in part]

    found = table(changed(listing, tmp_path, let_nobody_pass)).read()
    assert found == Rules(gates={3, 4}, foreign={"to3", "to4"})


def test_a_listing_counts_for_one_device(
    table: Lists, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No rule changes when the device goes that it leads to."""
    reading = table(LISTINGS[0])
    monkeypatch.setattr(nft.netlink, "generation", lambda name: 7)
    states = set()
    for index in (5, None, 6):
        monkeypatch.setattr(forwards, "index_of", lambda name, index=index: index)
        states.add(reading._state())
    assert len(states) == 3
