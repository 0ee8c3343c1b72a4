# SPDX-License-Identifier: Apache-2.0
"""One agent a host: a second one would answer half of the requests, with locks of its own.

The claim is an abstract unix socket. It ends with its process, however that ends, and is seen from
every container that shares the host's network namespace.
"""

import hashlib
import socket
import struct
import threading

#: Longer names do not fit into a socket's address (unix(7)).
_LONGEST = 107
#: struct ucred: pid, uid, gid.
_CREDENTIALS = struct.Struct("3i")
#: struct timeval of 5 s. Not settimeout(): with that, the kernel refuses at once when the owner's
#: queue is full, instead of waiting for a place in it (unix(7)).
_ANSWER_TIMEVAL = struct.pack("@ll", 5, 0)


class Claimed(Exception):
    """Another process is the agent of this host; the message says which."""


def claim(host: str) -> socket.socket:
    """Make this process the agent of a host until it ends, or the returned socket is closed.

    :raises Claimed: there is one already
    """
    claimed = socket.socket(socket.AF_UNIX)
    try:
        claimed.bind(_address(host))
    except OSError as error:
        claimed.close()
        raise Claimed(f"{_owner(host)} is the agent of host {host} already; end it first, or give "
                      "this one another [DEFAULT] host") from error
    claimed.listen()
    threading.Thread(target=_answer, args=(claimed,), name="qos-claim", daemon=True).start()
    return claimed


def _address(host: str) -> bytes:
    name = f"nova-qos-agent/{host}".encode()
    if len(name) > _LONGEST:
        name = b"nova-qos-agent/" + hashlib.sha256(name).hexdigest().encode()
    return b"\0" + name


def _answer(claimed: socket.socket) -> None:
    """Take whoever connects from the queue: what is left in it would fill it one day."""
    while True:
        try:
            claimed.accept()[0].close()
        except OSError:
            return


def _owner(host: str) -> str:
    with socket.socket(socket.AF_UNIX) as asking:
        asking.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, _ANSWER_TIMEVAL)
        try:
            asking.connect(_address(host))
            found = asking.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
        except OSError:
            return "another process"
    pid: int = _CREDENTIALS.unpack(found)[0]
    # 0: the kernel has no number for it in this process's pid namespace
    return f"process {pid}" if pid else "a process in another container"
