# SPDX-License-Identifier: Apache-2.0
"""Debian packages, installed only where they are missing.

``python -m tools.bed.packages LOG LIST...`` needs nothing but the standard library. It prints one
line if there is something to install; what apt, dpkg and the packages' scripts print goes to LOG.
"""

import contextlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from .errors import TestbedError

_POLICY = Path("/usr/sbin/policy-rc.d")
_LISTS = Path("/var/lib/apt/lists")
_ENVIRONMENT = {"DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C", "TERM": "dumb"}
_OPTIONS = {
    "Dpkg::Use-Pty": "0",
    "Dpkg::Options::": "--force-confold",
    # another apt may be at work
    "DPkg::Lock::Timeout": "600",
    # apt's own user may not enter the directory that a download goes to
    "APT::Sandbox::User": "root",
}
_TAIL_LINES = 20


def read_list(path: Path) -> list[str]:
    """Return the package names of a file that holds one a line and ``#`` comments."""
    lines = (line.partition("#")[0].strip() for line in path.read_text().splitlines())
    return [line for line in lines if line]


def missing(names: Iterable[str]) -> list[str]:
    """Return those of the packages that are not installed, in the given order."""
    wanted = list(dict.fromkeys(names))
    answer = subprocess.run(
        ["dpkg-query", "-W", "-f", "${db:Status-Status} ${Package}\n", *wanted],
        capture_output=True,
        text=True,
    )
    present = {line.split()[1] for line in answer.stdout.splitlines() if line.startswith("inst")}
    return [name for name in wanted if name not in present]


def ensure(names: Iterable[str], log: Path | None = None) -> list[str]:
    """Install the missing packages without starting any daemon; return what was installed.

    What apt prints goes to ``log``. Raises TestbedError when not root, or with the end of that log
    when apt fails.
    """
    absent = missing(names)
    if not absent:
        return []
    if os.geteuid() != 0:
        raise TestbedError(f"only root can install the missing packages: {' '.join(absent)}")
    install = ("install", "-y", "--no-install-recommends", *absent)
    with _no_daemon_starts(), _written_to(log) as output:
        if not any(_LISTS.glob("*_Packages*")) or not _apt(output, *install):
            # Package lists that are older than the mirror name files it no longer has.
            _apt(output, "update")
            if not _apt(output, *install):
                raise _failure(output, f"apt-get install {' '.join(absent)}")
    return absent


def download(name: str, directory: Path) -> Path:
    """Fetch one package's file into ``directory`` without installing it; return its path."""
    with _written_to(None) as output:
        for attempt in ("present lists", "new lists"):
            if attempt == "new lists":
                _apt(output, "update")
            if _apt(output, "download", name, cwd=directory):
                return next(directory.glob(f"{name}_*.deb"))
        raise _failure(output, f"apt-get download {name}")


def dependency(name: str, prefix: str) -> str:
    """Return the first package that ``name`` depends on and whose name starts with ``prefix``."""
    for attempt in ("present lists", "new lists"):
        if attempt == "new lists":
            with _written_to(None) as output:
                _apt(output, "update")
        answer = subprocess.run(["apt-cache", "depends", name], capture_output=True, text=True)
        for line in answer.stdout.splitlines():
            kind, _, package = line.strip().partition("Depends: ")
            if not kind and package.startswith(prefix):
                return package
    raise TestbedError(f"no dependency of package {name} starts with {prefix}")


def _apt(output: Path, *arguments: str, cwd: Path | None = None) -> bool:
    """Whether apt succeeded; what it prints is appended to a file."""
    options = [word for name, value in _OPTIONS.items() for word in ("-o", f"{name}={value}")]
    with output.open("ab") as file:
        answer = subprocess.run(
            ["apt-get", "-qq", *options, *arguments], cwd=cwd, env={**os.environ, **_ENVIRONMENT},
            stdin=subprocess.DEVNULL, stdout=file, stderr=subprocess.STDOUT,
            # without a terminal that the packages' scripts could open
            start_new_session=True)
    return answer.returncode == 0


@contextlib.contextmanager
def _written_to(log: Path | None) -> Iterator[Path]:
    """The log, or a file that goes afterwards."""
    if log is not None:
        yield log
        return
    with tempfile.NamedTemporaryFile(prefix="nova-qos-apt-") as file:
        yield Path(file.name)


def _failure(output: Path, command: str) -> TestbedError:
    lines = output.read_text(errors="replace").splitlines()[-_TAIL_LINES:]
    return TestbedError("\n".join([f"{command} failed:", *lines]))


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


def main() -> int:
    """Exit status 0 when all are installed; otherwise the reason is printed."""
    log, *lists = map(Path, sys.argv[1:])
    absent = missing(name for path in lists for name in read_list(path))
    if absent:
        print(f"installing {len(absent)} Debian packages (log: {log})", flush=True)
        log.unlink(missing_ok=True)
    try:
        ensure(absent, log)
    except TestbedError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
