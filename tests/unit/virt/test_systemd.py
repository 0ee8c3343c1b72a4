# SPDX-License-Identifier: Apache-2.0
"""A system bus that does not answer; a real systemd is in the vmhost tier."""

import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from nova_qos.core import errors
from nova_qos.virt.systemd import Systemd
from tests.pace import LONG_S, Stopwatch

LIMIT_S = 0.5


class Bus:
    """Lets clients authenticate, and says nothing more."""

    def __init__(self, path: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.bind(str(path))
        self._socket.listen()
        self.clients: list[socket.socket] = []
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                client, _ = self._socket.accept()
            except OSError:
                return
            self.clients.append(client)
            client.recv(1000)
            client.sendall(b"OK 0123456789abcdef0123456789abcdef\r\n")

    def close(self) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        for each in (self._socket, *self.clients):
            each.close()


@pytest.fixture
def bus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bus]:
    path = tmp_path / "bus"
    bus = Bus(path)
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", f"unix:path={path}")
    yield bus
    bus.close()


def test_a_bus_that_does_not_answer_hello(bus: Bus) -> None:
    began = time.monotonic()
    with Stopwatch() as watch, pytest.raises(
            errors.HostRefused, match=r"has not answered over D-Bus for 0\.5 s"):
        Systemd(LIMIT_S).set_property("machine.slice", "MemoryLow", 0)
    assert time.monotonic() - began >= LIMIT_S
    assert watch.seconds < LIMIT_S + 1
    # the socket is closed: the other end has no more to read than the end
    (client,) = bus.clients
    client.settimeout(LONG_S)
    while client.recv(1000):
        pass
