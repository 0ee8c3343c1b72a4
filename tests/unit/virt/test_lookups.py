# SPDX-License-Identifier: Apache-2.0
"""Paths on file systems that answer, answer with errors, or do not answer."""

import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from nova_qos.virt.lookups import Lookups, Silence

PATIENCE_S = 0.3
DEAD = "/dead/disk"


class FileSystem:
    """Where ``os.stat`` works, except of what lies in /dead: that waits until it comes back."""

    def __init__(self) -> None:
        self.back = threading.Event()
        self.asked: list[tuple[str, int]] = []

    def status(self, path: str) -> os.stat_result:
        self.asked.append((path, threading.get_ident()))
        if path.startswith("/dead"):
            assert self.back.wait(30)
            path = "/"
        return os.stat(path)


@pytest.fixture
def file_system() -> Iterator[FileSystem]:
    file_system = FileSystem()
    yield file_system
    file_system.back.set()


@pytest.fixture
def lookups(file_system: FileSystem) -> Lookups:
    return Lookups(file_system.status, PATIENCE_S)


@pytest.fixture
def mounted(file_system: FileSystem, tmp_path: Path) -> Lookups:
    """With /dead/nfs and one mount in it, beside file systems on disks."""
    mounts = tmp_path / "mountinfo"
    mounts.write_text(
        "21 1 8:1 / / rw - ext4 /dev/sda1 rw\n"
        "22 21 8:2 / /dead rw - ext4 /dev/sda2 rw\n"
        "23 22 0:50 / /dead/nfs\\0401 rw - nfs4 server:/a rw,hard\n"
        "24 23 0:51 / /dead/nfs\\0401/inner rw - nfs4 server:/b rw,hard\n")
    return Lookups(file_system.status, PATIENCE_S, mounts)


def number(device: int) -> str:
    return f"{os.major(device)}:{os.minor(device)}"


def test_what_answers(lookups: Lookups, file_system: FileSystem, tmp_path: Path) -> None:
    file = tmp_path / "disk"
    file.touch()
    answers = lookups.devices([str(file), "/nonexistent/disk", "/dev/null"])
    assert answers[str(file)] == number(file.stat().st_dev)
    # a character device is none that holds a disk
    assert answers["/dev/null"] == number(os.stat("/dev/null").st_dev)
    error = answers["/nonexistent/disk"]
    assert isinstance(error, FileNotFoundError)
    assert error.strerror == "No such file or directory"
    assert threading.get_ident() not in {thread for _, thread in file_system.asked}


def test_a_block_device_is_itself(tmp_path: Path) -> None:
    status = os.stat_result((0o060600, 0, os.stat(tmp_path).st_dev, 1, 0, 0, 0, 0, 0, 0),
                            {"st_rdev": os.makedev(8, 17)})
    assert Lookups(lambda path: status).devices(["/dev/sdb1"]) == {"/dev/sdb1": "8:17"}


def test_what_is_silent_costs_the_others_nothing(lookups: Lookups) -> None:
    began_s = time.monotonic()
    answers = lookups.devices(["/dead/one", "/dead/two", "/", "/dead/three"])
    assert time.monotonic() - began_s < 3 * PATIENCE_S
    assert answers["/"] == number(os.stat("/").st_dev)
    silent = {path for path, answer in answers.items() if isinstance(answer, Silence)}
    assert silent == {"/dead/one", "/dead/two", "/dead/three"}


def test_only_the_first_one_waits(lookups: Lookups, file_system: FileSystem) -> None:
    first = lookups.devices([DEAD])[DEAD]
    assert isinstance(first, Silence)
    assert first.for_s >= PATIENCE_S
    began_s = time.monotonic()
    for _ in range(10):
        again = lookups.devices([DEAD])[DEAD]
        assert isinstance(again, Silence)
        assert again.for_s > first.for_s
    assert time.monotonic() - began_s < 5 * PATIENCE_S
    assert len(file_system.asked) == 1


def test_a_file_system_that_comes_back_is_asked_anew(
    lookups: Lookups, file_system: FileSystem
) -> None:
    lookups.devices([DEAD])
    file_system.back.set()
    known = number(os.stat("/").st_dev)
    give_up = time.monotonic() + 5
    while lookups.devices([DEAD]) != {DEAD: known} and time.monotonic() < give_up:
        pass
    assert lookups.devices([DEAD]) == {DEAD: known}
    assert len(file_system.asked) > 1


def test_a_dead_mount_is_waited_for_once(mounted: Lookups, file_system: FileSystem) -> None:
    mounted.devices(["/dead/nfs 1/one/disk"])
    began_s = time.monotonic()
    answers = mounted.devices(f"/dead/nfs 1/{name}/disk" for name in range(50))
    assert time.monotonic() - began_s < 5 * PATIENCE_S
    assert all(isinstance(each, Silence) and each.for_s > PATIENCE_S for each in answers.values())
    assert len(file_system.asked) == 1


@pytest.mark.parametrize(("silent", "path"), [
    ("/dead/nfs 1/disk", "/dead/nfs 1/inner/disk"),
    # a link in them may lead anywhere
    ("/dead/one/disk", "/dead/two/disk"),
    ("/dead/one/disk", "/"),
    ("/dead/nfs 1/disk", "/dead/disk"),
])
def test_another_file_system_is_asked(
    mounted: Lookups, file_system: FileSystem, silent: str, path: str
) -> None:
    mounted.devices([silent])
    mounted.devices([path])
    assert [asked for asked, _ in file_system.asked] == [silent, path]
