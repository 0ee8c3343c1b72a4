# SPDX-License-Identifier: Apache-2.0
"""Directories that chosen processes may change while nobody else sees them changed."""

import subprocess
from pathlib import Path
from types import TracebackType

# cat ends with the one who asked for this, however that ends
_SCRIPT = """\
set -eu
layers=$1
shift
mount -t tmpfs tmpfs "$layers"
for place; do
    mkdir -p "$layers$place/upper" "$layers$place/work"
    mount -t overlay overlay \
        -o "lowerdir=$place,upperdir=$layers$place/upper,workdir=$layers$place/work" "$place"
done
echo ready
exec cat
"""


class Overlay:
    """A mount namespace in which the directories are as they are outside until somebody inside
    writes to them; what was written goes with the last process inside.

    :raises OSError: there can be none
    """

    def __init__(self, scratch: Path, *directories: Path) -> None:
        scratch.mkdir()
        self._holder = subprocess.Popen(
            ["unshare", "--mount", "--propagation", "private", "sh", "-c", _SCRIPT, "sh",
             scratch, *directories],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self._holder.stdout is not None
        if self._holder.stdout.readline() != "ready\n":
            raise OSError("no overlay could be mounted; the reason is in the captured stderr")

    def __enter__(self) -> "Overlay":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._holder.communicate()

    def entering(self, directory: Path = Path("/")) -> list[str]:
        """What comes before a command to run it inside, in that directory."""
        process = f"/proc/{self._holder.pid}"
        # the root, too: without it, one that has another than the machine would leave it
        return ["nsenter", f"--mount={process}/ns/mnt", f"--root={process}/root",
                f"--wd={directory}"]

    def path(self, inside: str | Path) -> Path:
        """By what name one outside reaches a file that has that absolute path inside."""
        return Path(f"/proc/{self._holder.pid}/root{inside}")
