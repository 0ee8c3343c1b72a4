# SPDX-License-Identifier: Apache-2.0
"""Who gets how much memory.low, on files of the test's own; systemd is in the vmhost tier."""

from pathlib import Path
from typing import Any, cast

import pytest

from nova_qos.virt.definition import Definition
from nova_qos.virt.groups import Group
from nova_qos.virt.inventory import Listed
from nova_qos.virt.protection import LOW, MIN, Kind, Protection
from nova_qos.virt.snapshot import LibvirtSnapshot
from nova_qos.virt.systemd import Systemd

MIB = 2**20
ONE, TWO, INNER = ("machine/qemu-1-one.libvirt-qemu", "machine/qemu-2-two.libvirt-qemu",
                   "machine/gold.partition/qemu-3-three.libvirt-qemu")
OTHER = "machine/container"


class Host:
    """Groups as libvirt makes them where there is no systemd."""

    def __init__(self, place: Path, kind: Kind = LOW) -> None:
        self.kind, self.root = kind, place / "groups"
        for name in (ONE, TWO, INNER, OTHER, "others/qemu-9-not-of-libvirt"):
            (self.root / name).mkdir(parents=True)
        for directory in list(self.root.rglob("*")):
            (directory / kind.file).write_text("0")
        self.protection = Protection(Systemd(), self.root, kind)

    def group(self, name: str) -> Group:
        return Group(self.root / name, self.root)

    def set(self, name: str, mib: int) -> None:
        self.protection.set(self.group(name), mib * MIB)

    def write(self, name: str, mib: int) -> None:
        self.group(name).write(self.kind.file, mib * MIB)

    def mib(self, name: str) -> float:
        return self.group(name).read(self.kind.file) / MIB

    def stop(self, name: str) -> None:
        (self.root / name / self.kind.file).unlink()
        (self.root / name).rmdir()

    def why_not(self, name: str) -> str | None:
        return self.protection.why_not_effective(self.group(name))


@pytest.fixture(params=[LOW, MIN], ids=lambda kind: kind.file)
def host(tmp_path: Path, request: pytest.FixtureRequest) -> Host:
    return Host(tmp_path, request.param)


def test_groups_above_have_the_sum(host: Host) -> None:
    host.set(ONE, 100)
    host.set(INNER, 30)
    host.set(TWO, 5)
    assert host.mib(ONE) == 100
    assert (host.mib("machine"), host.mib("machine/gold.partition")) == (135, 30)
    assert [host.why_not(name) for name in (ONE, TWO, INNER)] == [None, None, None]
    host.set(ONE, 10)
    assert host.mib("machine") == 45
    assert host.mib("others") == 0


def test_the_last_one_leaves_nothing_behind(host: Host) -> None:
    host.set(INNER, 30)
    host.set(INNER, 0)
    assert (host.mib("machine"), host.mib("machine/gold.partition")) == (0, 0)
    assert host.group("machine").mark() == ()


def test_protection_of_a_container_counts_only_beside_a_server_s(host: Host) -> None:
    host.write(OTHER, 20)
    host.protection.tidy()
    assert host.mib("machine") == 0
    host.set(ONE, 100)
    assert host.mib("machine") == 120
    host.set(ONE, 0)
    assert (host.mib("machine"), host.mib(OTHER)) == (0, 20)


def test_servers_that_have_gone_are_tidied_away_by_a_later_agent(host: Host) -> None:
    host.set(ONE, 100)
    host.set(TWO, 50)
    host.stop(ONE)
    assert host.mib("machine") == 150
    Protection(Systemd(), host.root, host.kind).tidy()
    assert host.mib("machine") == 50
    host.stop(TWO)
    host.protection.tidy()
    assert host.mib("machine") == 0


@pytest.mark.parametrize(("theirs", "told"), [(40, "is 40 MiB, and theirs together are 100 MiB"),
                                              (400, None)])
def test_what_an_administrator_set_is_left_alone(
    host: Host, theirs: int, told: str | None
) -> None:
    host.write("machine", theirs)
    host.set(ONE, 100)
    host.protection.tidy()
    assert (host.mib(ONE), host.mib("machine")) == (100, theirs)
    why_not = host.why_not(ONE)
    assert (why_not is None) if told is None else (told in (why_not or ""))


def test_what_an_administrator_sets_later_is_left_alone(host: Host) -> None:
    host.set(ONE, 100)
    host.write("machine", 60)
    host.set(TWO, 10)
    host.protection.tidy()
    assert host.mib("machine") == 60
    assert "60 MiB" in (host.why_not(TWO) or "")


def test_what_was_put_to_nothing_is_ours_again(host: Host) -> None:
    host.set(ONE, 100)
    host.write("machine", 0)
    assert "is 0 MiB" in (host.why_not(ONE) or "")
    host.protection.tidy()
    assert host.mib("machine") == 100


def test_a_libvirt_in_a_container(host: Host) -> None:
    server = "pods/one/container/machine/qemu-4-four.libvirt-qemu"
    for group in (host.root / server, *(host.root / server).parents):
        if host.root in group.parents:
            group.mkdir(parents=True, exist_ok=True)
            (group / host.kind.file).write_text("0")
    host.set(server, 100)
    assert [host.mib(group) for group in (
        "pods", "pods/one", "pods/one/container", "pods/one/container/machine")] == [100] * 4
    assert host.why_not(server) is None
    host.stop(server)
    Protection(Systemd(), host.root, host.kind).tidy()
    assert (host.mib("pods"), host.mib("pods/one/container/machine")) == (0, 0)


def test_libvirt_s_own_group_inside_has_the_same(host: Host) -> None:
    inner = f"{ONE}/libvirt"
    (host.root / inner).mkdir()
    host.write(inner, 0)
    host.set(ONE, 100)
    assert (host.mib(ONE), host.mib(inner), host.mib("machine")) == (100, 100, 100)
    host.set(ONE, 0)
    assert (host.mib(ONE), host.mib(inner), host.mib("machine")) == (0, 0, 0)


def test_a_size_is_cut_to_whole_pages(host: Host) -> None:
    host.protection.set(host.group(ONE), 10 * MIB + 5)
    assert host.mib(ONE) == 10


def test_a_snapshot_looks_once_at_each_group_above_servers(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a thousand servers, each look takes many milliseconds."""
    looked: list[Path] = []
    look_above = Kind.look_above

    def counted(kind: Kind, group: Group) -> tuple[int, int]:
        looked.append(group.path)
        return look_above(kind, group)

    monkeypatch.setattr(Kind, "look_above", counted)
    names = {"one": ONE, "two": TWO}
    for name in names.values():
        host.set(name, 100)
    listed = dict.fromkeys(names, Listed(1, (1, 1), Definition(None, "virtio", 10, ()), None))
    snapshot = LibvirtSnapshot(
        lambda _uuid, _seen, above, _networks: cast(Any, above), listed, False, {}, {}, 1)
    for uuid, name in names.items():
        above = cast(Any, snapshot.domain(uuid))
        assert host.protection.why_not_effective(host.group(name), above[host.kind]) is None
    assert looked == [host.root / "machine"]
