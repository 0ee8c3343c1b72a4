# SPDX-License-Identifier: Apache-2.0
"""Every public name that the table gives: users, scripts and saved settings depend on them."""

import difflib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from nova_qos.api import rules, schemas
from nova_qos.core.resource import Resource
from nova_qos.core.server import Flavor
from nova_qos.resources import (
    BALLOON,
    BALLOON_COMMAND,
    GET_ALL,
    HOSTS_PATH,
    HOSTS_RULE,
    LIST_HOST_RULE,
    LIST_PATH,
    LIST_RULE,
    MEMORY,
    NET_PRIORITIES_COMMAND,
    NET_PRIORITY,
    SET_ALL,
    TABLE,
)
from novaclient_qos import commands
from novaclient_qos.osc.change import SetQos, UnsetQos

GOLDEN = Path(__file__).with_name("public_names.txt")
ROOT = Path(__file__).parents[2]
#: One resource in the file.
_WRITTEN = re.compile(r"""resource (\S+)
  get   (\S+) \| (\S+) \| (\S+)
  set   (\S+) \| (\S+) \| (\S+)
  option (\S+)
  body  (\S+)( force)?
  range .*
  host  .*
  saved (\S+)
""")


def names_of(row: Resource) -> Iterator[str]:
    yield f"resource {row.name}"
    yield f"  get   {row.names.get_action} | {row.names.get_command} | {row.names.get_rule}"
    yield f"  set   {row.names.set_action} | {row.names.set_command} | {row.names.set_rule}"
    yield f"  option {row.names.option}"
    yield f"  body  {row.names.key}{' force' if row.forceable else ''}"
    yield f"  range {row.describe()}"
    yield f"  host  {row.unit.scale} for 1 {row.unit.name}"
    yield f"  saved {row.names.stored_as}"
    yield f"  default for a flavor of 512 MiB: {row.default.of(Flavor(512))}"


def public_names() -> str:
    lines = [line for row in TABLE.values() for line in names_of(row)]
    lines += [f"all     {GET_ALL} | {SET_ALL}"]
    lines += [f"balloon {BALLOON} | {BALLOON_COMMAND} | {MEMORY.names.get_rule}"]
    lines += [f"several {NET_PRIORITIES_COMMAND} | {NET_PRIORITY.names.get_action}"]
    lines += [f"list    GET {LIST_PATH} | {LIST_RULE} | {LIST_HOST_RULE}"]
    lines += [f"hosts   GET {HOSTS_PATH} | {HOSTS_RULE}"]
    lines += [f"policies {each.name} | {operation['method']} {operation['path']}"
              for each in rules.list_rules() if ":policies:" in each.name
              for operation in each.operations]
    return "".join(f"{line}\n" for line in lines)


def test_public_names_are_those_written_down() -> None:
    diff = "".join(difflib.unified_diff(
        GOLDEN.read_text().splitlines(keepends=True), public_names().splitlines(keepends=True),
        "tests/unit/public_names.txt", "the table"))
    assert not diff, (
        "public names changed; users and saved settings depend on them. If that is meant, change "
        f"the file too and write a release note:\n{diff}")


class Written(NamedTuple):
    """The names of one resource as the file has them; nothing here comes from the table."""

    name: str
    get_action: str
    get_command: str
    get_rule: str
    set_action: str
    set_command: str
    set_rule: str
    option: str
    key: str
    force: str
    saved: str


WRITTEN = [Written(*names) for names in _WRITTEN.findall(GOLDEN.read_text())]
each_written = pytest.mark.parametrize("names", WRITTEN, ids=lambda names: names.name)


def test_the_file_has_every_row() -> None:
    assert [names.name for names in WRITTEN] == list(TABLE)


def test_no_name_means_two_things() -> None:
    for several in (
        ["get-qos", "set-qos", "balloon-driver-enabled",
         *(name for r in WRITTEN for name in (r.get_action, r.set_action))],
        ["ballooning-enabled", "tc-get-net-priorities",
         *(name for r in WRITTEN for name in (r.get_command, r.set_command))],
        ["os_compute_api:os-qos:list", "os_compute_api:os-qos:list:host",
         *(name for r in WRITTEN for name in (r.get_rule, r.set_rule))],
        [r.option for r in WRITTEN],
        [r.saved for r in WRITTEN],
        [r.title for r in TABLE.values()],
    ):
        assert len(set(several)) == len(several), several


@each_written
def test_a_body_has_the_field(names: Written) -> None:
    action = schemas.set_body(TABLE[names.name])["properties"]
    assert isinstance(action, dict)
    assert list(action) == [names.set_action]
    fields = [names.key, "force"] if names.force else [names.key]
    assert list(action[names.set_action]["properties"]) == fields


def test_the_fields_of_set_qos() -> None:
    action = schemas.set_all_body()["properties"]
    assert isinstance(action, dict)
    assert list(action["set-qos"]["properties"]) == [
        *(r.name for r in WRITTEN), "policy", "force"]


def test_every_rule_and_no_other() -> None:
    written = {name for r in WRITTEN for name in (r.get_rule, r.set_rule)}
    assert {rule.name for rule in rules.list_rules()} == written | {
        "os_compute_api:os-qos:list", "os_compute_api:os-qos:list:host",
        "os_compute_api:os-qos:hosts",
        "os_compute_api:os-qos:policies:get", "os_compute_api:os-qos:policies:set",
        "os_compute_api:os-qos:policies:assign", "os_compute_api:os-qos:policies:agents"}


def test_every_nova_command_and_no_other() -> None:
    written = {name for r in WRITTEN for name in (r.get_command, r.set_command)}
    found = {name.removeprefix("do_").replace("_", "-") for name in dir(commands)
             if name.startswith("do_")}
    assert found == written | {"ballooning-enabled", "tc-get-net-priorities"}


@pytest.mark.parametrize("command", [SetQos, UnsetQos])
def test_every_option(command: type[SetQos | UnsetQos]) -> None:
    parser = command(None, None).get_parser("openstack server qos")
    options = {option for action in parser._actions for option in action.option_strings}
    assert {names.option for names in WRITTEN} <= options


@each_written
def test_a_saved_key_fits_and_says_whose_it_is(names: Written) -> None:
    # nova's column for a key of system_metadata
    assert names.saved.startswith("qos:")
    assert len(names.saved) <= 255


@pytest.mark.parametrize("name", [name for r in WRITTEN for name in (
    r.get_action, r.set_action, r.get_rule, r.set_rule, r.get_command, r.set_command, r.option,
    r.saved)])
def test_every_name_can_be_searched_for(name: str) -> None:
    families = sorted((ROOT / "nova_qos" / "resources").glob("*.py"))
    assert sum(f'"{name}"' in family.read_text() for family in families) == 1
