# SPDX-License-Identifier: Apache-2.0
"""A file that is written whole or not at all."""

import os
import tempfile
from pathlib import Path

from nova_qos.core import errors


def write(path: Path, text: str) -> None:
    """Write a text in UTF-8. What was there before stays until all of the new text is on the disk.

    :raises QosError: the file cannot be written; nothing has changed
    """
    try:
        _write(Path(os.path.realpath(path)), text)
    except OSError as error:
        raise errors.QosError(f"{path} cannot be written: {error.strerror or error}") from error


def _write(path: Path, text: str) -> None:
    mode = _mode(path)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name[:64]}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8", errors="replace", newline="\n") as file:
            file.write(text)
            file.flush()
            os.fchmod(file.fileno(), mode)
            os.fsync(file.fileno())
        os.replace(name, path)
    except BaseException:
        os.unlink(name)
        raise


def _mode(path: Path) -> int:
    """The permissions for the file: those that it has, or those of any new file."""
    if not path.exists():
        umask = os.umask(0o077)
        os.umask(umask)
        return 0o666 & ~umask
    if not path.is_file():
        raise OSError("it is no regular file")
    # who may replace it in its directory need not be allowed to change it
    os.close(os.open(path, os.O_WRONLY))
    return path.stat().st_mode & 0o777
