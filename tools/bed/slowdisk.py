# SPDX-License-Identifier: Apache-2.0
"""A disk that is slow on purpose, so that the kernel's I/O scheduler has something to divide."""

import errno
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from . import partitions
from .command import run
from .errors import TestbedError
from .processes import Daemon, wait_until

# With requests held back above the device and short turns, the shares are right within a second
# and not only in the long run. A turn that lasts too long is counted by its time, not by its
# bytes: on a busy machine that would be any turn of a guest that waits for the processor.
_BFQ = {
    "low_latency": "0",
    "strict_guarantees": "1",
    "max_budget": "512",  # sectors
    "timeout_sync": "10000",  # ms
}
_MIB = 2**20
#: More than anybody writes, since nothing is kept.
_PART_MIB = 128 * 1024
_APPEARS_S = 10
# udev looks into whatever was closed after writing, and at this rate that takes its time
_RELEASED_S = 60


class SlowDisk:
    """A loop device of a fixed rate, divided by bfq, with a partition for each who writes to it.

    The rate is held below the block layer, by qemu-storage-daemon, whatever the disk of this
    machine can do: two writers that together ask for more than ``rate_mib`` always have requests
    waiting, and I/O weights decide. Only direct I/O is divided; what goes through the page cache
    is written by the kernel's own threads. There is no file system, which would let but one
    request at a time into a file. Nothing written is kept: all reads give zeros.

    To be used as a context manager. Needs root and the packages qemu-system-common, mount and
    util-linux. All files lie in ``place``; what a killed run has left there is taken away first.
    """

    def __init__(
        self, place: Path, parts: int, *, rate_mib: int = 16, divides: bool = True
    ) -> None:
        """Prepare ``parts`` partitions, start nothing.

        ``rate_mib`` is MiB a second of the whole disk, of reads and writes together. Without
        ``divides`` there is no I/O scheduler, and requests go through as they come.
        """
        self.place = place.absolute()
        self._numbers = range(1, parts + 1)
        self._divides = divides
        self._throttled = self.place / "throttled.raw"
        self._device: Path | None = None
        size_mib = parts * _PART_MIB + 1  # the partitions begin behind the first MiB
        self._daemon = Daemon(
            name="slow-disk",
            command=_storage_daemon(self._throttled, size_mib, rate_mib),
            state=self.place,
            ready=lambda: _is_mount_point(self._throttled),
        )

    def __enter__(self) -> Self:
        """Make it. Raises TestbedError naming the step that failed; nothing is left then."""
        try:
            self._take_away()
            self._make()
        except (OSError, TestbedError):
            self._take_away()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._take_away()

    @property
    def device(self) -> Path:
        """The block device, such as /dev/loop0. Raises TestbedError outside of the context."""
        if self._device is None:
            raise TestbedError(f"the slow disk in {self.place} is not there")
        return self._device

    @property
    def parts(self) -> Sequence[Path]:
        """The partitions, such as /dev/loop0p1. Raises TestbedError outside of the context."""
        return [Path(f"{self.device}p{number}") for number in self._numbers]

    def _make(self) -> None:
        self.place.mkdir(parents=True, exist_ok=True)
        self._throttled.touch()
        self._daemon.start()
        options = ("--find", "--show", "--direct-io=on")
        self._device = Path(run("losetup", *options, self._throttled).strip())
        queue = Path("/sys/block", self._device.name, "queue")
        (queue / "scheduler").write_text("bfq" if self._divides else "none")
        for name, value in _BFQ.items() if self._divides else ():
            (queue / "iosched" / name).write_text(value)
        # by hand: not every kernel reads partition tables
        for number in self._numbers:
            begin = ((number - 1) * _PART_MIB + 1) * _MIB
            partitions.add(self._device, number, begin, _PART_MIB * _MIB)
        if not wait_until(lambda: all(part.exists() for part in self.parts), _APPEARS_S):
            raise TestbedError(f"not all of {', '.join(map(str, self.parts))} are there")

    def _take_away(self) -> None:
        for device in _loop_devices(self._throttled):
            for part in Path("/sys/block", Path(device).name).glob("*/partition"):
                _delete_once_released(Path(device), int(part.read_text()))
            run("losetup", "--detach", device)
        # one that somebody has open stays until that is closed, and reads from the daemon
        if not wait_until(lambda: not _loop_devices(self._throttled), _RELEASED_S):
            raise TestbedError(f"{self._throttled} is still in use by a loop device")
        self._device = None
        self._daemon.stop()
        if _is_mount_point(self._throttled):
            run("umount", self._throttled)
        self._throttled.unlink(missing_ok=True)


def _storage_daemon(throttled: Path, size_mib: int, rate_mib: int) -> list[str]:
    # Nothing may depend on how fast the machine's own disk is.
    content = f"driver=null-co,node-name=content,size={size_mib * 2**20},read-zeroes=on"
    return [
        "qemu-storage-daemon",
        "--object", f"throttle-group,id=rate,x-bps-total={rate_mib * 2**20}",
        "--blockdev", content,
        "--blockdev", "driver=throttle,node-name=slow,throttle-group=rate,file=content",
        "--export", f"type=fuse,id=slow,node-name=slow,mountpoint={throttled},writable=on",
    ]  # fmt: skip


def _delete_once_released(device: Path, number: int) -> None:
    def is_deleted() -> bool:
        try:
            partitions.delete(device, number)
        except OSError as error:
            if error.errno != errno.EBUSY:
                raise
            return False
        return True

    if not wait_until(is_deleted, _RELEASED_S):
        raise TestbedError(f"partition {number} of {device} is still in use")


def _is_mount_point(file: Path) -> bool:
    """Tell whether something is mounted over a file, even if its daemon has died."""
    lines = Path("/proc/self/mounts").read_text().splitlines()
    return any(line.split()[1] == str(file) for line in lines)


def _loop_devices(file: Path) -> list[str]:
    lines = run("losetup", "--list", "--noheadings", "--output", "NAME,BACK-FILE").splitlines()
    return [line.split()[0] for line in lines if line.partition(" ")[2].strip() == str(file)]
