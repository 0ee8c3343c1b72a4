# SPDX-License-Identifier: Apache-2.0
"""Debian packages, installed only where they are missing."""

import contextlib
import os
import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path

from .errors import TestbedError

_POLICY = Path("/usr/sbin/policy-rc.d")
_LISTS = Path("/var/lib/apt/lists")
_ENVIRONMENT = {"DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C"}


def read_list(path: Path) -> list[str]:
    """Return the package names of a file that holds one a line and ``#`` comments."""
    lines = (line.partition("#")[0].strip() for line in path.read_text().splitlines())
    return [line for line in lines if line]


def missing(names: Iterable[str]) -> list[str]:
    """Return those of the packages that are not installed, in the given order."""
    wanted = list(names)
    answer = subprocess.run(
        ["dpkg-query", "-W", "-f", "${db:Status-Status} ${Package}\n", *wanted],
        capture_output=True,
        text=True,
    )
    present = {line.split()[1] for line in answer.stdout.splitlines() if line.startswith("inst")}
    return [name for name in wanted if name not in present]


def ensure(names: Iterable[str]) -> list[str]:
    """Install the missing packages without starting any daemon; return what was installed.

    Raises TestbedError when not root or when apt fails.
    """
    absent = missing(names)
    if not absent:
        return []
    if os.geteuid() != 0:
        raise TestbedError(f"only root can install the missing packages: {' '.join(absent)}")
    with _no_daemon_starts():
        if not any(_LISTS.glob("*_Packages*")) or not _install(absent):
            # Package lists that are older than the mirror name files it no longer has.
            _apt("update")
            if not _install(absent):
                raise TestbedError(f"apt-get install failed: {' '.join(absent)}")
    return absent


def download(name: str, directory: Path) -> Path:
    """Fetch one package's file into ``directory`` without installing it; return its path."""
    for attempt in ("present lists", "new lists"):
        if attempt == "new lists":
            _apt("update")
        if _apt("download", name, cwd=directory).returncode == 0:
            return next(directory.glob(f"{name}_*.deb"))
    raise TestbedError(f"apt-get download failed: {name}")


def dependency(name: str, prefix: str) -> str:
    """Return the first package that ``name`` depends on and whose name starts with ``prefix``."""
    for attempt in ("present lists", "new lists"):
        if attempt == "new lists":
            _apt("update")
        answer = subprocess.run(["apt-cache", "depends", name], capture_output=True, text=True)
        for line in answer.stdout.splitlines():
            kind, _, package = line.strip().partition("Depends: ")
            if not kind and package.startswith(prefix):
                return package
    raise TestbedError(f"no dependency of package {name} starts with {prefix}")


def _install(names: list[str]) -> bool:
    return _apt("install", "-y", "-q", "--no-install-recommends", *names).returncode == 0


def _apt(*arguments: str, cwd: Path | None = None) -> "subprocess.CompletedProcess[bytes]":
    environment = {**os.environ, **_ENVIRONMENT}
    # apt's own user may not enter the directory that a download goes to.
    command = ["apt-get", "-q", "-o", "APT::Sandbox::User=root", *arguments]
    return subprocess.run(command, cwd=cwd, env=environment)


@contextlib.contextmanager
def _no_daemon_starts() -> Iterator[None]:
    if _POLICY.exists() or Path("/run/systemd/system").exists():
        yield
        return
    _POLICY.write_text("#!/bin/sh\nexit 101\n")
    _POLICY.chmod(0o755)
    try:
        yield
    finally:
        _POLICY.unlink(missing_ok=True)
