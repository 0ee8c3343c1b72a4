# SPDX-License-Identifier: Apache-2.0
"""What other versions of nft list, and how they fail.

The listings were recorded from Debian's nft 0.9.8, 1.0.6, 1.1.3 and 1.1.7 on one kernel, each of a
table that the same version has made; 0.9.8 cannot make it and lists one of 1.0.6. A program of
that name prints them here.
"""

import json
from pathlib import Path
from typing import Any

import pytest

from nova_qos.core import errors
from nova_qos.net.choice import ChoiceTable
from nova_qos.net.layout import Rules
from nova_qos.net.marks import Marks

LISTINGS = sorted((Path(__file__).parent / "listings").glob("nft-*.json"))
VERSIONS = {"0.9.8", "1.0.6", "1.1.3", "1.1.7"}


def expected(marks: Marks) -> Rules:
    """What the table was made with."""
    first, other = marks.with_priority[0], marks.without_priority[0]
    return Rules(
        gates={5}, taps={2: first, 3: other},
        host_macs={"02:00:00:00:00:01", "fe:16:3e:00:00:00"},
        macs={"fa:16:3e:00:00:00": first, "fa:16:3e:00:00:01": other},
        addresses={"203.0.113.7": first},
        marks={marks.of(first): first, marks.of(other): other})


def marks_of(listing: Path) -> Marks:
    return Marks(0xFF00 if listing.stem.endswith("-ff00") else 0x1FFF)


@pytest.fixture
def table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A table as an nft made of these lines of shell handles it."""
    def make(script: str, marks: Marks | None = None) -> ChoiceTable:
        program = tmp_path / "nft"
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
        return ChoiceTable("nova_qos", marks or Marks(0x1FFF))

    return make


def test_of_each_version_there_are_listings() -> None:
    told = [json.loads(each.read_text())["nftables"][0]["metainfo"]["version"]
            for each in LISTINGS]
    assert set(told) == VERSIONS
    assert all(f"nft-{version}" in each.name for version, each in zip(told, LISTINGS, strict=True))


@pytest.mark.parametrize("listing", LISTINGS, ids=lambda each: each.stem)
def test_each_version_reads_the_same(table: Any, listing: Path) -> None:
    marks = marks_of(listing)
    assert table(f"cat {listing}", marks).read() == expected(marks)


@pytest.mark.parametrize("listing", LISTINGS, ids=lambda each: each.stem)
def test_what_a_later_version_may_add(table: Any, tmp_path: Path, listing: Path) -> None:
    """Kinds of objects, and what is told of each object."""
    listed = json.loads(listing.read_text())["nftables"]
    for each in listed:
        for held in each.values():
            held.update({"comment": "x", "devs": ["tap0"], "count": 3})
    listed.insert(1, {"novelty": {"family": "netdev", "table": "nova_qos", "name": "by_mac"}})
    listed.insert(1, {"flowtable": {"family": "netdev", "name": "tap2", "dev": "tap0"}})
    later = tmp_path / "later.json"
    later.write_text(json.dumps({"nftables": listed, "more": 1}))
    marks = marks_of(listing)
    assert table(f"cat {later}", marks).read() == expected(marks)


def test_elements_that_somebody_has_commented(table: Any, tmp_path: Path) -> None:
    """As nft lists them where a comment, a timeout or a counter was added."""
    listed = json.loads(LISTINGS[-1].read_text())["nftables"]
    for each in listed:
        for held in (each.get("map"), each.get("set")):
            if held:
                held["elem"] = [_commented(element) for element in held["elem"]]
    later = tmp_path / "later.json"
    later.write_text(json.dumps({"nftables": listed}))
    marks = marks_of(LISTINGS[-1])
    assert table(f"cat {later}", marks).read() == expected(marks)


def _commented(element: Any) -> Any:
    if isinstance(element, list):
        return [_commented(element[0]), element[1]]
    return {"elem": {"val": element, "comment": "x"}}


@pytest.mark.parametrize("said", [
    "", "nothing", "[]", '{"nftables": 1}', '{"nftables": [{"chain": {}}]}',
    '{"nftables": [{"map": {"name": "by_mac", "elem": [7]}}]}'])
def test_a_form_that_is_unknown(table: Any, said: str) -> None:
    with pytest.raises(errors.HostRefused, match="in a form that the agent does not know"):
        table(f"echo '{said}'").read()


def test_an_nft_that_crashes(table: Any) -> None:
    """As 1.0.6 does on any table with a set that 1.1 has made."""
    with pytest.raises(errors.HostRefused, match="ended by signal 11"):
        table("kill -SEGV $$").read()


def test_an_nft_that_is_too_old(table: Any) -> None:
    """What 0.9.8 says."""
    old = table("echo \"internal:0:0-0: Error: Invalid chain hook 'egress'.\" >&2; exit 1")
    with pytest.raises(errors.HostCannot, match="knows no chains on outgoing packets"):
        old.change(None, Rules())


def test_no_table(table: Any) -> None:
    assert table("echo 'Error: No such file or directory' >&2; exit 1").read() is None
