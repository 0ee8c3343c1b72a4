# SPDX-License-Identifier: Apache-2.0
"""A socket before libvirtd's whose clients can be cut off, as if libvirtd had been lost."""

import contextlib
import select
import socket
import threading
from pathlib import Path


class Proxy:
    """Passes on what clients and libvirtd say to each other."""

    def __init__(self, path: Path, libvirtd: Path) -> None:
        self.uri = f"qemu+unix:///system?socket={path}"
        self._libvirtd = libvirtd
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.bind(str(path))
        self._socket.listen()
        self._lock = threading.Lock()
        self._clients: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        """End the connections of all clients."""
        with self._lock:
            clients, self._clients = self._clients, []
        for client in clients:
            with contextlib.suppress(OSError):
                client.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self.cut()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._socket.accept()
                with self._lock:
                    self._clients.append(client)
                threading.Thread(target=self._pass_on, args=(client,), daemon=True).start()

    def _pass_on(self, client: socket.socket) -> None:
        with client, socket.socket(socket.AF_UNIX) as server, contextlib.suppress(OSError):
            server.connect(str(self._libvirtd))
            other = {client: server, server: client}
            while True:
                for each in select.select([client, server], [], [])[0]:
                    words = each.recv(65536)
                    if not words:
                        return
                    other[each].sendall(words)
