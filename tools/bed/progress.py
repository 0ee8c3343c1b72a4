# SPDX-License-Identifier: Apache-2.0
"""Lines that say what is done and how long it took, whole whatever other programs print."""

import contextlib
import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path


def step(what: str, work: Callable[[], object], log: Path) -> None:
    """Do one step, and say what and how long; what is printed meanwhile goes to the log."""
    print(f"  {what:<58}", end="", flush=True)
    start = time.monotonic()
    try:
        with output_to(log):
            work()
    except BaseException:
        print(" FAILED", flush=True)
        raise
    print(f"{time.monotonic() - start:6.1f} s", flush=True)


@contextlib.contextmanager
def output_to(log: Path) -> Iterator[None]:
    """Append what this process and the programs that it starts print to a file."""
    _flush()
    shown = [os.dup(stream) for stream in (1, 2)]
    with log.open("ab") as file:
        for stream in (1, 2):
            os.dup2(file.fileno(), stream)
    try:
        yield
    finally:
        _flush()
        for stream, there in zip((1, 2), shown, strict=True):
            os.dup2(there, stream)
            os.close(there)


def _flush() -> None:
    sys.stdout.flush()
    sys.stderr.flush()
