# SPDX-License-Identifier: Apache-2.0
"""A disk on a FUSE mount whose daemon stands still: every stat of it waits in the kernel."""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from nova_qos.virt import iosched
from nova_qos.virt.definition import Disk
from tools.bed.command import run
from tools.bed.processes import Daemon, wait_until

#: For how long the kernel may remember what the daemon last said of the file.
REMEMBERED_S = 2


class FuseFile:
    """A file that a daemon serves, mounted over an empty one."""

    def __init__(self, place: Path) -> None:
        self.path = place / "disk.raw"
        self._place = place
        self._daemon = Daemon("fuse-file", [
            "qemu-storage-daemon",
            "--blockdev", "driver=null-co,node-name=content,size=1048576,read-zeroes=on",
            "--export", f"type=fuse,id=file,node-name=content,mountpoint={self.path}",
        ], place, ready=self._is_mounted)  # fmt: skip

    def start(self) -> None:
        self._place.mkdir()
        self.path.touch()
        self._daemon.start()

    def stop(self) -> None:
        self._daemon.stop()
        if self._is_mounted():
            run("umount", self.path)

    def _is_mounted(self) -> bool:
        return str(self.path) in Path("/proc/self/mounts").read_text().split()

    @contextmanager
    def standing_still(self) -> Iterator[None]:
        pid = self._daemon.pid()
        assert pid is not None
        os.kill(pid, signal.SIGSTOP)
        try:
            time.sleep(REMEMBERED_S)
            yield
        finally:
            os.kill(pid, signal.SIGCONT)


@pytest.fixture
def fuse_file(tmp_path: Path) -> Iterator[FuseFile]:
    file = FuseFile(tmp_path / "fuse")
    try:
        file.start()
        yield file
    finally:
        file.stop()


def test_a_disk_whose_file_system_does_not_answer(fuse_file: FuseFile) -> None:
    disks = [Disk("vda", "file", str(fuse_file.path)), Disk("vdb", "file", "/nonexistent/disk")]

    def told() -> list[str]:
        return (iosched.look(disks).why_not or "").split("; ")

    assert "vda lies on a file system without a block device" in told()[0]
    with fuse_file.standing_still():
        began_s = time.monotonic()
        assert told()[0] == "disk vda: its file system does not answer, since 1 s"
        assert time.monotonic() - began_s < 2
        began_s = time.monotonic()
        silent, other = told()
        assert time.monotonic() - began_s < 0.5
        assert silent.startswith("disk vda: its file system does not answer")
        assert "vdb is unknown: No such file" in other
    assert wait_until(lambda: "without a block device" in told()[0], 10)
