# SPDX-License-Identifier: Apache-2.0
"""Groups of cgroup v2 as directories of the test's own; the kernel's are in the vmhost tier."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from nova_qos.core import errors
from nova_qos.virt import groups, systemd
from nova_qos.virt.groups import MOST, Group

NAME = "instance-0000002a"
SCOPE = "machine-qemu\\x2d{}\\x2dinstance\\x2d0000002a.scope"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for place in ("system.slice/libvirtd.service", f"machine.slice/{SCOPE.format(1)}/libvirt",
                  f"machine.slice/{SCOPE.format(11)}", "machine.slice/machine-nspawn.scope",
                  f"machine.slice/machine-gold.slice/{SCOPE.format(2)}",
                  "machine/qemu-3-one.libvirt-qemu",
                  "machine/gold.partition/qemu-4-two.libvirt-qemu"):
        (tmp_path / place).mkdir(parents=True)
    return tmp_path


@pytest.mark.parametrize(("machine", "place"), [
    (groups.machine(1, NAME), f"machine.slice/{SCOPE.format(1)}"),
    (groups.machine(11, NAME), f"machine.slice/{SCOPE.format(11)}"),
    (groups.machine(2, NAME), f"machine.slice/machine-gold.slice/{SCOPE.format(2)}"),
    ("qemu-3-one", "machine/qemu-3-one.libvirt-qemu"),
    ("qemu-4-two", "machine/gold.partition/qemu-4-two.libvirt-qemu"),
])
def test_a_domain_s_group_is_found(root: Path, machine: str, place: str) -> None:
    group = groups.find(machine, root)
    assert group is not None
    assert group.path == root / place
    assert groups.is_domain(group)
    assert groups.by_machine(root)[machine].path == group.path


@pytest.mark.parametrize(("domain_id", "name"), [
    (5, NAME), (-1, NAME), (1, "instance-0000002b"), (1, "instance-0000002"), (3, NAME),
])
def test_a_domain_without_a_group(root: Path, domain_id: int, name: str) -> None:
    assert groups.find(groups.machine(domain_id, name), root) is None


@pytest.mark.parametrize(("files", "is_inhabited"), [
    ({"cgroup.events": "populated 1\nfrozen 0\n"}, True),
    ({"cgroup.events": "populated 0\nfrozen 0\n"}, False),
    ({"cgroup.procs": "", "emulator/cgroup.procs": "4711\n"}, True),
    ({"cgroup.procs": "4711\n"}, True),
    ({"cgroup.procs": "", "emulator/cgroup.procs": ""}, False),
    ({}, False),
])
def test_what_a_killed_libvirt_has_left_takes_no_part(
    root: Path, files: dict[str, str], is_inhabited: bool
) -> None:
    place = root / "machine/qemu-3-one.libvirt-qemu"
    (place / "emulator").mkdir()
    for name, text in files.items():
        (place / name).write_text(text)
    assert ("qemu-3-one" in groups.inhabited(root)) == is_inhabited


def test_another_libvirt_s_domain_of_the_same_number(root: Path) -> None:
    for place in ("machine.slice/machine-qemu\\x2d1\\x2dother.scope",
                  "machine/qemu-1-third.libvirt-qemu"):
        (root / place).mkdir()
    for machine, name in ((groups.machine(1, NAME), SCOPE.format(1)),
                          ("qemu-1-other", "machine-qemu\\x2d1\\x2dother.scope"),
                          ("qemu-1-third", "qemu-1-third.libvirt-qemu")):
        group = groups.find(machine, root)
        assert group is not None
        assert group.name == name


def test_two_groups_of_one_name_are_both_left_alone(root: Path) -> None:
    machine = groups.machine(1, NAME)
    (root / f"machine/{machine}.libvirt-qemu").mkdir()
    with pytest.raises(errors.HostCannot) as error:
        groups.find(machine, root)
    assert error.value.message == (
        "which control group is this server's is not known: "
        f"{root}/machine.slice/{SCOPE.format(1)} and {root}/machine/{machine}.libvirt-qemu "
        "have its name")
    assert machine not in groups.by_machine(root)


@pytest.mark.parametrize(("name", "machine"), [
    (NAME, "qemu-7-instance-0000002a"),
    ("fu bar_1.example.org", "qemu-7-fubar1.example.org"),
    ("-a--b.-c-", "qemu-7-a-b.c"),
    ("a-_-b", "qemu-7-a-b"),
    ("b\u00fccher", "qemu-7-bcher"),
    ("x" * 56 + "-y", "qemu-7-" + "x" * 56),
    ("x" * 80, "qemu-7-" + "x" * 57),
])
def test_names_are_shortened_as_libvirt_does_it(name: str, machine: str) -> None:
    assert groups.machine(7, name) == machine


def test_an_older_libvirt_leaves_two_hyphens(tmp_path: Path) -> None:
    (tmp_path / "machine.slice/machine-qemu\\x2d7\\x2da\\x2d\\x2db.scope").mkdir(parents=True)
    assert groups.find(groups.machine(7, "a-_-b"), tmp_path) is not None


@pytest.mark.parametrize("place", [
    "kubepods.slice/x.slice/cri-containerd-1.scope/machine",
    "kubepods/burstable/pod1/2f/machine",
    "machine.slice/libpod-1.scope/container/machine/gold.partition",
    "system.slice/nova_libvirt.service/libpod-payload-1/machine",
    "lxc.payload.compute/machine.slice",
])
def test_groups_below_that_of_a_container(root: Path, place: str) -> None:
    (root / place / "qemu-6-a.libvirt-qemu/emulator").mkdir(parents=True)
    group = groups.find("qemu-6-a", root)
    assert group is not None
    assert group.path == root / place / "qemu-6-a.libvirt-qemu"
    places = [each.path for each in groups.partitions(root)]
    above = [each.path for each in group.above()]
    assert [place for place in places if place in above] == above
    assert group.path not in places


def test_what_holds_no_domains_is_not_listed(root: Path) -> None:
    (root / "system.slice/qemu-guest-agent.service").mkdir()
    (root / f"machine.slice/{SCOPE.format(1)}/libvirt/emulator").mkdir()
    assert {group.path.name for group in groups.partitions(root)} == {
        "system.slice", "machine.slice", "machine-gold.slice", "machine", "gold.partition"}
    assert "qemu-guest-agent.service" not in {group.name for group in groups.domains(root)}


def test_a_place_whose_last_domain_has_ended_is_still_listed(tmp_path: Path) -> None:
    (tmp_path / "machine").mkdir()
    (tmp_path / "machine.slice").mkdir()
    names = {group.name for group in groups.partitions(tmp_path)}
    assert names == {"machine", "machine.slice"}


def test_a_group_that_goes_meanwhile(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    below = Group.below

    def with_one_more(group: Group) -> Iterator[Group]:
        yield from below(group)
        yield Group(group.path / "gone.slice", root)

    monkeypatch.setattr(Group, "below", with_one_more)
    assert groups.find("qemu-3-one", root) is not None
    assert Group(root / "gone").is_leaf


@pytest.mark.parametrize(("place", "owned"), [
    ("machine.slice", True),
    (f"machine.slice/{SCOPE.format(1)}", True),
    (f"machine.slice/machine-gold.slice/{SCOPE.format(2)}", True),
    ("kubepods.slice/x.slice/cri-containerd-1.scope", True),
    ("kubepods.slice/x.slice/cri-containerd-1.scope/machine", False),
    ("machine.slice/machine-nspawn.scope/machine.slice", False),
    (f"lxc.payload.compute/machine.slice/{SCOPE.format(1)}", False),
    ("machine/qemu-3-one.libvirt-qemu", False),
])
def test_systemd_owns_units_but_not_a_container_s(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str, owned: bool
) -> None:
    monkeypatch.setattr(systemd, "_RUNS", tmp_path)
    assert systemd.owns(Group(tmp_path / place, tmp_path)) == owned
    monkeypatch.setattr(systemd, "_RUNS", tmp_path / "nowhere")
    assert not systemd.owns(Group(tmp_path / place, tmp_path))


def test_groups_above_end_below_the_root(root: Path) -> None:
    group = groups.find(groups.machine(2, NAME), root)
    assert group is not None
    assert [above.name for above in group.above()] == ["machine-gold.slice", "machine.slice"]


@pytest.mark.parametrize(("text", "number"), [
    ("100\n", 100), ("max\n", MOST), ("default 136\n", 136), ("default 100\n8:0 500\n", 100),
    ("0\n", 0),
])
def test_numbers_are_read_as_the_kernel_writes_them(
    tmp_path: Path, text: str, number: int
) -> None:
    (tmp_path / "file").write_text(text)
    assert Group(tmp_path).read("file") == number


def test_max_is_written_as_a_word(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(groups, "_ARRIVAL_SECONDS", 0.1)
    group = Group(tmp_path)
    group.write("file", MOST)
    assert (tmp_path / "file").read_text() == "max"
    assert group.comes_to("file", MOST)
    assert not group.comes_to("file", 5)
