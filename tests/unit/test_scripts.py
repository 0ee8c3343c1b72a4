# SPDX-License-Identifier: Apache-2.0
"""Scripts for guests: sent again only where nothing of them has left."""

import contextlib
import shutil
import socket
import threading
from collections.abc import Iterator

import pytest

from tools.bed.stack.scripts import posted

pytestmark = pytest.mark.skipif(
    shutil.which("curl") is None, reason="needs the packages of tools/bed/test.apt")


@pytest.fixture
def guest() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as guest:
        yield guest


def url(guest: socket.socket) -> str:
    return f"http://127.0.0.1:{guest.getsockname()[1]}/"


def test_an_answer(guest: socket.socket) -> None:
    def answer() -> None:
        connection, _ = guest.accept()
        with connection:
            connection.recv(1000)
            connection.sendall(b"HTTP/1.0 200 OK\r\n\r\nhello\n")

    thread = threading.Thread(target=answer, daemon=True)
    thread.start()
    told = posted(url(guest), "echo hello", 30)
    thread.join()
    assert (told.is_whole, told.printed, told.is_not_sent) == (True, "hello\n", False)


def test_nobody_is_there(guest: socket.socket) -> None:
    where = url(guest)
    guest.close()
    told = posted(where, "echo hello", 30)
    assert (told.is_whole, told.is_not_sent) == (False, True)


def test_no_connection_in_time(guest: socket.socket) -> None:
    guest.listen(0)
    with contextlib.ExitStack() as waiting:
        for _ in range(4):
            other = waiting.enter_context(socket.socket())
            other.setblocking(False)
            other.connect_ex(guest.getsockname())
        told = posted(url(guest), "echo hello", 30, connect_s=1)
    assert (told.is_whole, told.is_not_sent) == (False, True)


def test_no_answer_in_time(guest: socket.socket) -> None:
    told = posted(url(guest), "echo hello", 1)
    assert (told.is_whole, told.is_not_sent) == (False, False)


def test_the_connection_breaks(guest: socket.socket) -> None:
    def hang_up() -> None:
        connection, _ = guest.accept()
        connection.recv(1000)
        connection.close()

    thread = threading.Thread(target=hang_up, daemon=True)
    thread.start()
    told = posted(url(guest), "echo hello", 30)
    thread.join()
    assert (told.is_whole, told.is_not_sent) == (False, False)
