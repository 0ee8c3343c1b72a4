# SPDX-License-Identifier: Apache-2.0
"""A block device for the instances whose scheduler looks at I/O weights."""

from pathlib import Path

from tools.bed.stack.layout import Layout
from tools.bed.stack.shell import run, try_run

_GIB = 8


def up(layout: Layout) -> None:
    """Mount a file system on a loop device with bfq where the instances go."""
    image = layout.state / "instances.img"
    if not image.exists():
        run("truncate", "-s", f"{_GIB}G", image)
        run("mke2fs", "-q", "-F", "-t", "ext4", image)
    device = run("losetup", "--find", "--show", "--direct-io=on", image).strip()
    (Path("/sys/block") / Path(device).name / "queue/scheduler").write_text("bfq")
    layout.instances.mkdir(exist_ok=True)
    run("mount", device, layout.instances)


def down(layout: Layout) -> None:
    """Unmount it and free the loop device; the file goes too."""
    image = layout.state / "instances.img"
    try_run("umount", layout.instances)
    for line in run("losetup", "--list", "--noheadings", "--output", "NAME,BACK-FILE").splitlines():
        name, _, file = line.partition(" ")
        if file.strip() == str(image):
            try_run("losetup", "--detach", name)
    image.unlink(missing_ok=True)
