# SPDX-License-Identifier: Apache-2.0
"""Lists that change while they are read: the kernel's answers in bytes, as linux/netlink.h has
them."""

import errno
import struct
from collections.abc import Callable, Iterator

import pytest

from nova_qos.net import netlink

NOOP, ERROR, DONE, OVERRUN, NEWLINK = 1, 2, 3, 4, 16
MULTI, INTERRUPTED = 0x2, 0x10


def message(kind: int, body: bytes = b"", flags: int = MULTI) -> bytes:
    return struct.pack("=IHHII", 16 + len(body), kind, flags, 0, 0) + body


def number(status: int) -> bytes:
    return struct.pack("=i", status)


ONE, OTHER = message(NEWLINK, b"one."), message(NEWLINK, b"other...")
WHOLE = [ONE + message(NOOP) + OTHER, message(DONE, number(0))]
#: Where the kernel can say that a list does not hold together.
BROKEN = {
    "in an object": [ONE, message(NEWLINK, b"x...", MULTI | INTERRUPTED), message(DONE, number(0))],
    "at the first object": [message(NEWLINK, b"x...", MULTI | INTERRUPTED)],
    "at the end alone": [ONE, message(DONE, number(0), MULTI | INTERRUPTED)],
    "data lost": [ONE, message(OVERRUN)],
}


class Kernel:
    """Gives these answers, one list each time that it is asked; the last one again and again."""

    def __init__(self, *lists: list[bytes]) -> None:
        self._lists = [*lists]
        self.asked = 0

    def __call__(self) -> Iterator[bytes]:
        self.asked += 1
        return iter(self._lists.pop(0) if len(self._lists) > 1 else self._lists[0])


def lost() -> Callable[[], Iterator[bytes]]:
    """More was said than could wait in the socket, once."""
    kernel = Kernel(WHOLE)

    def answers() -> Iterator[bytes]:
        if not kernel.asked:
            kernel.asked += 1
            raise OSError(errno.ENOBUFS, "No buffer space available")
        yield from kernel()

    return answers


@pytest.mark.parametrize("where", BROKEN)
def test_an_interrupted_list_is_asked_for_again(where: str) -> None:
    kernel = Kernel(BROKEN[where], BROKEN[where], WHOLE)
    assert netlink.consistent(kernel) == [ONE, OTHER]
    assert kernel.asked == 3


@pytest.mark.parametrize("where", BROKEN)
def test_a_list_that_always_changes_is_refused(where: str) -> None:
    kernel = Kernel(BROKEN[where])
    with pytest.raises(OSError, match="changed each time"):
        netlink.consistent(kernel)
    assert kernel.asked == netlink.MOST_TRIES


def test_answers_that_found_no_room() -> None:
    assert netlink.consistent(lost()) == [ONE, OTHER]


@pytest.mark.parametrize("kind", [ERROR, DONE])
def test_a_refusal_is_not_asked_for_again(kind: int) -> None:
    """A list that the kernel gives up in the middle ends with the error's number."""
    kernel = Kernel([ONE, message(kind, number(-errno.EPERM))])
    with pytest.raises(OSError, match="not permitted"):
        netlink.consistent(kernel)
    assert kernel.asked == 1


@pytest.mark.parametrize("end", [message(ERROR, number(0), 0), message(DONE), message(DONE, b"\0")])
def test_the_end_of_an_answer(end: bytes) -> None:
    assert netlink.consistent(Kernel([ONE + end])) == [ONE]
