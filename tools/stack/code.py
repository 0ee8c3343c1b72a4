# SPDX-License-Identifier: Apache-2.0
"""Which state of nova-qos' code the running processes were started from."""

import hashlib
from pathlib import Path

from stack import services
from stack.layout import Layout

_PACKAGES = ("nova_qos", "novaclient_qos")


def is_current(layout: Layout) -> bool:
    """Whether nova-qos runs as the source tree has it."""
    record = _record(layout)
    return record.exists() and record.read_text() == _fingerprint(layout.repository)


def record(layout: Layout) -> None:
    """Remember that the processes have just been started from the source tree."""
    _record(layout).write_text(_fingerprint(layout.repository))


def restart(layout: Layout) -> None:
    """Start the two processes that run our code again.

    :raises TestbedError: one does not start
    """
    for daemon in (services.apis(layout)[-1], services.agent(layout)):
        daemon.stop()
        daemon.start()
    record(layout)


def _record(layout: Layout) -> Path:
    return layout.run / "code"


def _fingerprint(repository: Path) -> str:
    digest = hashlib.sha256(str(repository).encode())
    for package in _PACKAGES:
        for path in sorted((repository / package).rglob("*.py")):
            digest.update(str(path).encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()
