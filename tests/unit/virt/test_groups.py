# SPDX-License-Identifier: Apache-2.0
"""Groups of cgroup v2 as directories of the test's own; the kernel's are in the vmhost tier."""

from pathlib import Path

import pytest

from nova_qos.virt import groups
from nova_qos.virt.groups import MOST, Group

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


@pytest.mark.parametrize(("domain_id", "place"), [
    (1, f"machine.slice/{SCOPE.format(1)}"),
    (11, f"machine.slice/{SCOPE.format(11)}"),
    (2, f"machine.slice/machine-gold.slice/{SCOPE.format(2)}"),
    (3, "machine/qemu-3-one.libvirt-qemu"),
    (4, "machine/gold.partition/qemu-4-two.libvirt-qemu"),
])
def test_a_domain_s_group_is_found(root: Path, domain_id: int, place: str) -> None:
    group = groups.find(domain_id, root)
    assert group is not None
    assert group.path == root / place
    assert groups.is_domain(group)


@pytest.mark.parametrize("domain_id", [5, -1])
def test_a_domain_without_a_group(root: Path, domain_id: int) -> None:
    assert groups.find(domain_id, root) is None


def test_groups_above_end_below_the_root(root: Path) -> None:
    group = groups.find(2, root)
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


def test_max_is_written_as_a_word(tmp_path: Path) -> None:
    group = Group(tmp_path)
    group.write("file", MOST)
    assert (tmp_path / "file").read_text() == "max"
    assert group.comes_to("file", MOST)
    assert not group.comes_to("file", 5)
