# SPDX-License-Identifier: Apache-2.0
"""What a virtual test host is given on a disk: Python packages and the images of its guests."""

import os
import shutil
import tempfile
from pathlib import Path

from .debian import PAYLOAD, make_ext4
from .guest import GuestImages

#: Where the machine sees each part.
PACKAGES, IMAGES = f"{PAYLOAD}/venv", f"{PAYLOAD}/images"
PYTHON = f"{PACKAGES}/bin/python"
_SIZE_MIB = 2560


def make(disk: Path, packages: Path, images: GuestImages) -> Path:
    """Write the payload to ``disk``; ``packages`` is a virtual environment of the same Python.

    Raises TestbedError.
    """
    disk.parent.mkdir(parents=True, exist_ok=True)
    disk.unlink(missing_ok=True)
    with tempfile.TemporaryDirectory(dir=disk.parent) as scratch:
        place = Path(scratch)
        _copy(packages, place / "venv")
        _copy(images.kernel.parent, place / "images" / images.kernel.parent.name)
        make_ext4(place, disk, _SIZE_MIB)
    return disk


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(exist_ok=True)
    shutil.copytree(source, target, symlinks=True, copy_function=_link)


def _link(source: str, target: str) -> None:
    """A second name is as good as a copy for what is only read, and takes no time."""
    try:
        os.link(source, target, follow_symlinks=False)
    except OSError:
        shutil.copy2(source, target, follow_symlinks=False)
