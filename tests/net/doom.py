# SPDX-License-Identifier: Apache-2.0
"""Something happens right before one of our calls to the kernel, in a process of its own."""

import os
import sys
import traceback
from collections.abc import Callable
from typing import Any

from pyroute2.netlink.nlsocket import NetlinkRequest
from pyroute2.netlink.rtnl import (
    RTM_DELLINK,
    RTM_DELQDISC,
    RTM_DELTCLASS,
    RTM_NEWLINK,
    RTM_NEWQDISC,
    RTM_NEWTCLASS,
    RTM_SETLINK,
)

KILLED, COMPLETE, FAILED, UNTOUCHED = 9, 0, 1, 2

_CHANGES = (RTM_NEWQDISC, RTM_DELQDISC, RTM_NEWTCLASS, RTM_DELTCLASS,
            RTM_NEWLINK, RTM_SETLINK, RTM_DELLINK)


def in_child(act: Callable[[], int]) -> int:
    """Act in a copy of this process; return the exit status, what ``act`` returns."""
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    status = FAILED
    try:
        status = act()
    except BaseException:  # noqa: BLE001  # the parent's test is not to go on in here
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(status)


def before_change(number: int, doom: Callable[[], object]) -> None:
    """Let ``doom`` come before that change of ours, counted from 1, in this process."""
    _hook(number, doom, changes_only=True)


def before_call(number: int, doom: Callable[[], object]) -> None:
    """Let ``doom`` come before that call of ours, question or change."""
    _hook(number, doom, changes_only=False)


def _hook(number: int, doom: Callable[[], object], changes_only: bool) -> None:
    calls = 0

    def count(changes: bool) -> None:
        nonlocal calls
        if changes or not changes_only:
            calls += 1
            if calls == number:
                # what it calls itself does not count
                calls += 1
                doom()

    def heed(event: str, arguments: tuple[Any, ...]) -> None:
        if event == "subprocess.Popen":
            count("-f" in arguments[1])

    send = NetlinkRequest.send

    async def heeded_send(request: NetlinkRequest) -> Any:
        count(request.msg["header"]["type"] in _CHANGES)
        return await send(request)

    sys.addaudithook(heed)
    NetlinkRequest.send = heeded_send
