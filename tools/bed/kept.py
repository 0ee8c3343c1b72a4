# SPDX-License-Identifier: Apache-2.0
"""What takes minutes to make is made once and kept."""

import fcntl
import tempfile
from collections.abc import Callable
from pathlib import Path


def kept(place: Path, make: Callable[[Path], Path]) -> Path:
    """Return ``place``, made first if it is not there.

    ``make`` gets a directory beside it, and returns what becomes ``place``; the rest goes. Among
    all places of one directory, one process makes one at a time.
    """
    if place.exists():
        return place
    place.parent.mkdir(parents=True, exist_ok=True)
    with (place.parent / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not place.exists():
            with tempfile.TemporaryDirectory(dir=place.parent) as scratch:
                make(Path(scratch)).rename(place)
    return place
