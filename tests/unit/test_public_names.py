# SPDX-License-Identifier: Apache-2.0
"""Every public name that the table gives: users, scripts and saved settings depend on them."""

import difflib
from collections.abc import Iterator
from pathlib import Path

import pytest

from nova_qos import policies, schemas
from nova_qos.model import Flavor
from nova_qos.resources import (
    BALLOON,
    BALLOON_COMMAND,
    GET_ALL,
    LIST_HOST_POLICY,
    LIST_PATH,
    LIST_POLICY,
    MEMORY,
    NET_PRIORITIES_COMMAND,
    NET_PRIORITY,
    SET_ALL,
    TABLE,
    Resource,
)
from novaclient_qos import commands
from tests.unit.rows import each_row

GOLDEN = Path(__file__).with_name("public_names.txt")


def names_of(row: Resource) -> Iterator[str]:
    yield f"resource {row.name}"
    yield f"  get   {row.get_action} | {row.get_command} | {row.get_policy}"
    yield f"  set   {row.set_action} | {row.set_command} | {row.set_policy}"
    yield f"  option {row.option}"
    yield f"  body  {row.key}{' force' if row.forceable else ''}"
    yield f"  range {row.describe()}"
    yield f"  host  {row.host_scale} for 1 {row.unit}"
    yield f"  saved {row.stored_as}"
    yield f"  default for a flavor of 512 MiB: {row.default(Flavor(512))}"


def public_names() -> str:
    lines = [line for row in TABLE.values() for line in names_of(row)]
    lines += [f"all     {GET_ALL} | {SET_ALL}"]
    lines += [f"balloon {BALLOON} | {BALLOON_COMMAND} | {MEMORY.get_policy}"]
    lines += [f"several {NET_PRIORITIES_COMMAND} | {NET_PRIORITY.get_action}"]
    lines += [f"list    GET {LIST_PATH} | {LIST_POLICY} | {LIST_HOST_POLICY}"]
    return "".join(f"{line}\n" for line in lines)


def test_public_names_are_those_written_down() -> None:
    diff = "".join(difflib.unified_diff(
        GOLDEN.read_text().splitlines(keepends=True), public_names().splitlines(keepends=True),
        "tests/unit/public_names.txt", "the table"))
    assert not diff, (
        "public names changed; users and saved settings depend on them. If that is meant, change "
        f"the file too and write a release note:\n{diff}")


def test_no_name_means_two_things() -> None:
    rows = TABLE.values()
    for names in (
        [GET_ALL, SET_ALL, BALLOON, *(name for r in rows for name in (r.get_action, r.set_action))],
        [BALLOON_COMMAND, *(name for r in rows for name in (r.get_command, r.set_command))],
        [LIST_POLICY, LIST_HOST_POLICY,
         *(name for r in rows for name in (r.get_policy, r.set_policy))],
        [r.option for r in rows],
        [r.stored_as for r in rows],
        [r.title for r in rows],
    ):
        assert len(set(names)) == len(names), names


@each_row
def test_a_row_is_on_every_surface(row: Resource) -> None:
    assert TABLE[row.name] is row
    assert row.name in schemas.set_all_body()["properties"][SET_ALL]["properties"]  # type: ignore[index]
    assert {row.get_policy, row.set_policy} <= {rule.name for rule in policies.list_rules()}
    for command in (row.get_command, row.set_command):
        assert callable(getattr(commands, "do_" + command.replace("-", "_")))


@each_row
def test_a_saved_key_fits_and_says_whose_it_is(row: Resource) -> None:
    # nova's column for a key of system_metadata
    assert row.stored_as.startswith("qos:")
    assert len(row.stored_as) <= 255


def test_no_command_beside_the_table() -> None:
    derived = {name for r in TABLE.values() for name in (r.get_command, r.set_command)}
    derived |= {BALLOON_COMMAND, NET_PRIORITIES_COMMAND}
    found = {name.removeprefix("do_").replace("_", "-") for name in dir(commands)
             if name.startswith("do_")}
    assert found == derived


@pytest.mark.parametrize("name", [n for r in TABLE.values() for n in (
    r.get_action, r.set_action, r.get_policy, r.set_policy, r.get_command, r.set_command,
    r.option)])
def test_every_name_can_be_searched_for(name: str) -> None:
    table = Path(__file__).parents[2] / "nova_qos" / "resources.py"
    assert f'"{name}"' in table.read_text()
