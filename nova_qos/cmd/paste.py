# SPDX-License-Identifier: Apache-2.0
"""nova-qos-paste: puts nova-qos into an api-paste.ini, and takes it out again.

One value of one section changes; every other byte, the owner, the mode and the extended attributes
stay, so that taking it out leaves what was there before.
"""

import argparse
import configparser
import contextlib
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from nova_qos.core import errors

SECTION = "app:osapi_compute_app_v21"
OPTION = "paste.app_factory"
NOVAS = "nova.api.openstack.compute:APIRouterV21.factory"
OURS = "nova_qos.api.mount:Router.factory"
_DISABLED, _FAILED = 1, 2
_VALUE = re.compile(
    rf"^[ \t]*\[{re.escape(SECTION)}\].*?^[ \t]*{re.escape(OPTION)}[ \t]*[=:]\s*",
    re.MULTILINE | re.DOTALL)


def main() -> None:
    """The console script."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: Sequence[str]) -> int:
    """Do what the arguments say and print what was done.

    :returns: the exit status: 0 when it is as requested, 1 when ``check`` finds nova's own API
        alone, 2 when nothing could be done or found out
    """
    parser = argparse.ArgumentParser(
        prog="nova-qos-paste", description="Enable or disable nova-qos in nova's API by changing "
        f"the {OPTION} of [{SECTION}] in an api-paste.ini. Nothing else in the file changes.")
    parser.add_argument(
        "command", choices=["enable", "disable", "check"],
        help="check changes nothing; it exits with 0 if nova-qos is enabled and with 1 if not")
    parser.add_argument("file", metavar="FILE", type=Path, help="such as /etc/nova/api-paste.ini")
    given = parser.parse_args(arguments)
    try:
        if given.command == "check":
            enabled = is_enabled(given.file)
            print(f"{given.file}: nova-qos is {'enabled' if enabled else 'disabled'}")
            return 0 if enabled else _DISABLED
        changed = change(given.file, given.command == "enable")
    except errors.UnknownNova as error:
        print(f"nova-qos-paste: {error.message}", file=sys.stderr)
        return _FAILED
    print(f"{given.file}: " + (
        f"{given.command}d; restart the compute API" if changed
        else f"is {given.command}d already"))
    return 0


def is_enabled(path: Path) -> bool:
    """Whether the file mounts nova-qos.

    :raises UnknownNova: it cannot be read, or mounts neither nova's own API nor ours
    """
    return _factory(path, _read(path)) == OURS


def change(path: Path, enable: bool) -> bool:
    """Make the file mount nova-qos, or nova's own API alone; whether it had to be changed.

    :raises UnknownNova: as ``is_enabled``, or it cannot be written; it is as it was
    """
    text, wanted = _read(path), OURS if enable else NOVAS
    present = _factory(path, text)
    if present == wanted:
        return False
    value = _VALUE.search(text)
    if value is None or not text.startswith(present, value.end()):
        raise errors.UnknownNova(
            f"{path}: {OPTION} of [{SECTION}] is written in a way that cannot be changed safely; "
            f"write {wanted} there by hand")
    changed = text[:value.end()] + wanted + text[value.end() + len(present):]
    try:
        _replace(path.resolve(), changed)
    except OSError as error:
        raise errors.UnknownNova(f"{path} cannot be written: {error.strerror}") from error
    return True


def _read(path: Path) -> str:
    try:
        # whatever it holds has to come out again
        return path.read_bytes().decode(errors="surrogateescape")
    except OSError as error:
        raise errors.UnknownNova(f"{path} cannot be read: {error.strerror}") from error


def _factory(path: Path, text: str) -> str:
    # as PasteDeploy reads it; its [DEFAULT] holds no factories
    parser = configparser.ConfigParser(interpolation=None, default_section="")
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    try:
        parser.read_string(text, str(path))
        found = parser.get(SECTION, OPTION)
    except configparser.Error as error:
        words = " ".join(error.message.split())
        raise errors.UnknownNova(
            f"{path}: no {OPTION} to be found in [{SECTION}]: {words}") from error
    if found not in (NOVAS, OURS):
        raise errors.UnknownNova(
            f"{path}: in [{SECTION}], {OPTION} is {found!r}, which is neither nova's own ({NOVAS}) "
            f"nor ours ({OURS}). It belongs to another package and was left unchanged")
    return found


def _replace(path: Path, text: str) -> None:
    status = path.stat()
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    with contextlib.ExitStack() as undo:
        undo.callback(os.unlink, name)
        with open(descriptor, "wb") as file:
            file.write(text.encode(errors="surrogateescape"))
            file.flush()
            os.chown(name, status.st_uid, status.st_gid)
            shutil.copystat(path, name)
            os.utime(name)
            os.fsync(descriptor)
        os.replace(name, path)
        undo.pop_all()
