# SPDX-License-Identifier: Apache-2.0
"""What the pages for operators say exists: messages, options with their defaults, commands."""

import re
from importlib import metadata
from pathlib import Path

import pytest
from oslo_config import cfg

from nova_qos import conf
from nova_qos_hooks import ballooning
from tests.releases import RELEASES

ROOT = Path(__file__).parents[2]
ADMIN = ROOT / "doc/source/admin"
#: Said by nova and by Python.
_OTHERS = {"There is no such action: ", "Policy doesn't allow os_compute_api:os-qos:",
           "No module named 'nova_qos'", "nova-qos-paste: ",
           "nova_qos.errors.UnknownNova: nova ", "authentication failed"}
_OPTION = re.compile(r"``(?:\[(\w+)\] )?(\w+)(?: = (\w+))?``(?: \(([\d.]+)\))?")
PROGRAMS = {"nova-qos-agent", "nova-qos-paste", "openstack", "pip", "install", "systemctl", "tc",
            "nft", "rm", "ip"}


def code() -> str:
    """Every string of ours as it is at run time: literals that go on in the next line are one."""
    text = "\n".join(path.read_text() for package in ("nova_qos", "novaclient_qos")
                     for path in (ROOT / package).rglob("*.py"))
    return re.sub(r'"\s*\n\s*f?"', "", text).replace("%s", "{")


def quoted() -> list[str]:
    """The parts between dots of each message that is quoted."""
    page = (ADMIN / "troubleshooting.rst").read_text()
    quotes = re.findall(r"(?<![*\w])\*([^*\s][^*]*)\*(?!\*)", page)
    return [part for quote in quotes for part in quote.split("...") if len(part.strip()) > 6]


def options() -> dict[tuple[str, str], cfg.Opt]:
    """Those of ours by group and name."""
    found = {}
    for group, entries in [*conf.list_opts(), *ballooning.list_opts()]:
        name = group if isinstance(group, str) else group.name
        found |= {(name, option.name): option for option in entries}
    return found


def test_there_is_something_to_look_for() -> None:
    assert len(quoted()) > 10


@pytest.mark.parametrize("part", quoted())
def test_quoted_messages_are_said(part: str) -> None:
    assert part in _OTHERS or part.strip() in code()


def test_options_have_the_defaults_that_are_named() -> None:
    page = "".join((ADMIN / name).read_text() for name in ("tuning.rst", "balancing.rst"))
    named = set()
    for group, name, value, default in _OPTION.findall(page):
        option = options().get((group or "nova_qos", name))
        if option is None:
            continue
        named.add(name)
        assert not default or float(default) == option.default, name
        assert not value or value in option.type.choices, name
    unexplained = {name for _, name in options()} - named
    assert unexplained == {"hook_timeout"}


def test_commands_exist() -> None:
    page, shown = (ADMIN / "install.rst").read_text(), set()
    for line in re.findall(r"^    [#$] (\S+)", page, re.MULTILINE):
        shown.add(line)
    assert shown == PROGRAMS
    ours = {point.name for point in metadata.entry_points(group="console_scripts")}
    assert {program for program in shown if program.startswith("nova-qos")} <= ours


def test_every_page_is_reached() -> None:
    """Sphinx says so too, but is not always there."""
    for index in (ADMIN, ADMIN.parent / "contributor"):
        listed = set(re.findall(r"^   (\S+)$", (index / "index.rst").read_text(), re.MULTILINE))
        pages = {str(path.relative_to(index).with_suffix("")) for path in index.rglob("*.rst")}
        assert pages - {"index"} <= listed, index


@pytest.mark.parametrize("page", ["README.rst", "HACKING.rst", *(
    str(path.relative_to(ROOT)) for path in sorted((ROOT / "doc/source").rglob("*.rst")))])
def test_files_that_a_page_names_exist(page: str) -> None:
    text = (ROOT / page).read_text()
    places = "nova_qos|novaclient_qos|hooks|dashboard|tests|tools|doc|etc|devstack"
    named = set(re.findall(rf"(?<![\w/.-])(?:{places})/[\w./-]*\w", text))
    inside = set(re.findall(
        r"``((?:agent|api|bus|cmd|core|instances|net|resources|virt)/\w+\.py)``", text))
    found = sorted({*named, *(f"nova_qos/{name}" for name in inside)})
    assert [name for name in found if not (ROOT / name).exists()] == []


@pytest.mark.parametrize("page", ["HACKING.rst", "doc/source/contributor/architecture.rst",
                                  "doc/source/contributor/architecture.svg"])
def test_files_of_ours_that_a_page_names_are_there(page: str) -> None:
    packages = ("nova_qos", "novaclient_qos", "nova_qos_dashboard", "tests")
    there = {path.relative_to(ROOT).as_posix() for package in packages
             for path in (ROOT / package).rglob("*.py")}
    named = re.findall(r"[\w/]+\.py\b", (ROOT / page).read_text())
    assert named
    assert [each for each in named if not any(f"/{path}".endswith(f"/{each}") for path in there)
            ] == []


def test_the_versions_in_debian_are_those_that_tests_see() -> None:
    page = (ADMIN / "hosts.rst").read_text()
    titles = {"Linux": "kernel", "systemd": "systemd", "libvirt": "libvirt", "QEMU": "qemu",
              "nftables": "nftables", "Open vSwitch": "openvswitch", "Python": "python"}
    rows = re.findall(r"^(\w+(?: \w+)*) +(\d[\d.]*) +(\d[\d.]*)$", page, re.MULTILINE)
    assert [(titles[title], *versions) for title, *versions in rows] == [
        (name, *(RELEASES[number][name] for number in ("12", "13"))) for name in RELEASES["12"]]
