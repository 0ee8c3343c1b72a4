# SPDX-License-Identifier: Apache-2.0
"""A disk that is slow on purpose, so that the kernel's I/O scheduler has something to divide."""

import subprocess
from pathlib import Path
from types import TracebackType
from typing import Self

from .errors import TestbedError
from .processes import Daemon

# With requests held back above the device and short turns, the shares are right within a second
# and not only in the long run. A turn that lasts too long is counted by its time, not by its
# bytes: on a busy machine that would be any turn of a guest that waits for the processor.
_BFQ = {
    "low_latency": "0",
    "strict_guarantees": "1",
    "max_budget": "512",  # sectors
    "timeout_sync": "10000",  # ms
}
# A journal would be written for everybody and be counted against nobody.
_FILE_SYSTEM = ("-t", "ext4", "-O", "^has_journal", "-E", "lazy_itable_init=0", "-m", "0")


class SlowDisk:
    """A loop device of a fixed rate, divided by bfq, with an ext4 file system on it.

    The rate is held below the block layer, by qemu-storage-daemon, whatever the disk of this
    machine can do: two writers that together ask for more than ``rate_mib`` always have requests
    waiting, and I/O weights decide. Only direct I/O is divided; what goes through the page cache
    is written by the kernel's own threads.

    To be used as a context manager. Needs root and the packages qemu-system-common, e2fsprogs,
    mount and util-linux. All files lie in ``place``; what a killed run has left there is taken
    away first, and everything on the disk is lost at the end. Other mount namespaces that were
    made meanwhile keep the device busy until they end.
    """

    def __init__(self, place: Path, *, size_mib: int = 512, rate_mib: int = 16) -> None:
        """Prepare, start nothing. ``rate_mib`` is MiB a second, of reads and writes together."""
        self.place = place.absolute()
        #: Where the file system is mounted.
        self.mounted = self.place / "mounted"
        self._size_mib = size_mib
        self._content = self.place / "content.raw"
        self._throttled = self.place / "throttled.raw"
        self._device: Path | None = None
        self._daemon = Daemon(
            name="slow-disk",
            command=_storage_daemon(self._content, self._throttled, rate_mib),
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

    def _make(self) -> None:
        self.mounted.mkdir(parents=True, exist_ok=True)
        _run("truncate", "-s", f"{self._size_mib}M", self._content)
        _run("mke2fs", "-q", "-F", *_FILE_SYSTEM, self._content)
        self._throttled.touch()
        self._daemon.start()
        options = ("--find", "--show", "--direct-io=on")
        self._device = Path(_run("losetup", *options, self._throttled).strip())
        queue = Path("/sys/block", self._device.name, "queue")
        (queue / "scheduler").write_text("bfq")
        for name, value in _BFQ.items():
            (queue / "iosched" / name).write_text(value)
        _run("mount", self._device, self.mounted)

    def _take_away(self) -> None:
        if self.mounted.is_mount():
            _run("umount", self.mounted)
        for device in _loop_devices(self._throttled):
            _run("losetup", "--detach", device)
        self._device = None
        self._daemon.stop()
        if _is_mount_point(self._throttled):
            _run("umount", self._throttled)
        for file in (self._throttled, self._content):
            file.unlink(missing_ok=True)


def _storage_daemon(content: Path, throttled: Path, rate_mib: int) -> list[str]:
    # Nothing may depend on the machine's own disk: its flushes are as slow as it is.
    file = f"driver=file,node-name=content,filename={content},cache.no-flush=on"
    return [
        "qemu-storage-daemon",
        "--object", f"throttle-group,id=rate,x-bps-total={rate_mib * 2**20}",
        "--blockdev", file,
        "--blockdev", "driver=throttle,node-name=slow,throttle-group=rate,file=content",
        "--export", f"type=fuse,id=slow,node-name=slow,mountpoint={throttled},writable=on",
    ]  # fmt: skip


def _is_mount_point(file: Path) -> bool:
    """Tell whether something is mounted over a file, even if its daemon has died."""
    lines = Path("/proc/self/mounts").read_text().splitlines()
    return any(line.split()[1] == str(file) for line in lines)


def _loop_devices(file: Path) -> list[str]:
    lines = _run("losetup", "--list", "--noheadings", "--output", "NAME,BACK-FILE").splitlines()
    return [line.split()[0] for line in lines if line.partition(" ")[2].strip() == str(file)]


def _run(*command: str | Path) -> str:
    words = [str(word) for word in command]
    answer = subprocess.run(words, capture_output=True, text=True)
    if answer.returncode:
        raise TestbedError(f"{' '.join(words)}: {answer.stderr.strip()}")
    return answer.stdout
