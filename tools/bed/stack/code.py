# SPDX-License-Identifier: Apache-2.0
"""Which state of the source tree the cloud was made from, and its processes started from."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

from tools.bed.stack import schema, services
from tools.bed.stack.layout import Layout

_PACKAGES = ("nova_qos", "novaclient_qos", "hooks")
# what the configuration, the devices and the guests come from
_RECIPE = ("tools/bed/stack", "tools/bed/guest.py", "tools/bed/guest_files")


def is_current(layout: Layout) -> bool:
    """Whether nova-qos runs as the source tree has it."""
    return _is_as_recorded(layout, "code", _PACKAGES)


def has_this_recipe(layout: Layout) -> bool:
    """Whether a cloud brought up now would be configured as the one that runs."""
    return _is_as_recorded(layout, "recipe", _RECIPE)


def record(layout: Layout) -> None:
    """Remember that the processes have just been started from the source tree."""
    (layout.run / "code").write_text(_fingerprint(layout.repository, _PACKAGES))


def record_recipe(layout: Layout) -> None:
    """Remember that the cloud has just been made as the source tree has it."""
    (layout.run / "recipe").write_text(_fingerprint(layout.repository, _RECIPE))


def forget(layout: Layout) -> None:
    """Other code than the source tree's is about to run, until the next restart."""
    (layout.run / "code").unlink(missing_ok=True)


def restart(layout: Layout) -> None:
    """Start the two processes that run our code again.

    :raises TestbedError: one does not start
    """
    schema.synchronise_policies(layout)
    for daemon in (services.apis(layout)[-1], services.agent(layout)):
        daemon.stop()
        daemon.start()
    record(layout)


def _is_as_recorded(layout: Layout, name: str, places: Sequence[str]) -> bool:
    record = layout.run / name
    return record.exists() and record.read_text() == _fingerprint(layout.repository, places)


def _fingerprint(repository: Path, places: Sequence[str]) -> str:
    digest = hashlib.sha256(str(repository).encode())
    for place in places:
        top = repository / place
        for path in sorted(top.rglob("*")) if top.is_dir() else [top]:
            if path.is_file() and path.suffix != ".pyc":
                digest.update(str(path).encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()
