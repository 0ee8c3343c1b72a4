# SPDX-License-Identifier: Apache-2.0
"""A socket that accepts connections and never answers, like a libvirtd that hangs."""

import socket
from pathlib import Path


class SilentSocket:
    """Listens at a path until it is closed; its clients wait for as long."""

    def __init__(self, path: Path) -> None:
        self.uri = f"qemu+unix:///system?socket={path}"
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.bind(str(path))
        self._socket.listen()

    def close(self) -> None:
        """Its clients' connections end, too."""
        self._socket.close()
