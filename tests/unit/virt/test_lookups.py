# SPDX-License-Identifier: Apache-2.0
"""Paths on file systems that answer, answer with errors, or do not answer."""

import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from nova_qos.virt.lookups import Lookups, Silence
from tests.pace import LONG_S, Stopwatch, eventually

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
    lookups._patience_s = LONG_S
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
    lookups = Lookups(lambda path: status, LONG_S)
    assert lookups.devices(["/dev/sdb1"]) == {"/dev/sdb1": "8:17"}


def test_what_is_silent_costs_the_others_nothing(lookups: Lookups) -> None:
    dead = ["/dead/one", "/dead/two", "/dead/three"]
    with Stopwatch() as watch:
        answers = lookups.devices([*dead[:2], "/", dead[2]])
    assert watch.seconds < 3 * PATIENCE_S
    assert all(isinstance(answers[path], Silence) for path in dead)
    # a thread may be late on a busy machine
    eventually(lambda: lookups.devices([*dead, "/"])["/"] == number(os.stat("/").st_dev))


def test_only_the_first_one_waits(lookups: Lookups, file_system: FileSystem) -> None:
    first = lookups.devices([DEAD])[DEAD]
    assert isinstance(first, Silence)
    assert first.for_s >= PATIENCE_S
    with Stopwatch() as watch:
        for _ in range(10):
            again = lookups.devices([DEAD])[DEAD]
            assert isinstance(again, Silence)
            assert again.for_s > first.for_s
    assert watch.seconds < 5 * PATIENCE_S
    assert len(file_system.asked) == 1


def test_a_file_system_that_comes_back_is_asked_anew(
    lookups: Lookups, file_system: FileSystem
) -> None:
    lookups.devices([DEAD])
    file_system.back.set()
    known = number(os.stat("/").st_dev)
    eventually(lambda: lookups.devices([DEAD]) == {DEAD: known})
    assert len(file_system.asked) > 1


def test_a_dead_mount_is_waited_for_once(mounted: Lookups, file_system: FileSystem) -> None:
    mounted.devices(["/dead/nfs 1/one/disk"])
    with Stopwatch() as watch:
        answers = mounted.devices(f"/dead/nfs 1/{name}/disk" for name in range(50))
    assert watch.seconds < 5 * PATIENCE_S
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
    for asked in ([silent], [silent, path]):
        mounted.devices(asked[-1:])
        eventually(lambda asked=asked: [path for path, _ in file_system.asked] == asked)  # type: ignore[misc]
