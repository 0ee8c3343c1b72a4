# SPDX-License-Identifier: Apache-2.0
"""Debian's releases, by code name: their trees of files, and environments of their Python."""

import hashlib
import platform
import shutil
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

from . import packages
from .command import run
from .kept import kept

_APT = Path("/etc/apt")
#: What an environment is made with.
_LIST = Path(__file__).with_name("python.apt")
# Programs are the release's; all else is this machine's: certificates, and the settings of pip.
_INSIDE = 'mount --rbind "$1/usr" /usr && shift && exec "$@"'


def own() -> str:
    """This machine's."""
    return platform.freedesktop_os_release()["VERSION_CODENAME"]


def bootstrap(name: str, tree: Path, names: Iterable[str]) -> None:
    """Make ``tree`` a small Debian with these packages, from where this machine's come from.

    Raises TestbedError.
    """
    with tempfile.TemporaryDirectory() as scratch:
        run("mmdebstrap", "--variant=minbase", "--mode=root", f"--include={','.join(names)}",
            name, tree, *_sources(name, Path(scratch)))


def environment(
    name: str, cache: Path, source: Path, words: Sequence[str], files: Iterable[str]
) -> Path:
    """A virtual environment of the release's Python, with what pip installs by these words in a
    copy of the directory ``source``.

    It is kept below ``cache`` for any such directory in which ``files`` are the same. It is for
    machines of that release, at any place: use no program of it but ``python``. Raises
    TestbedError.
    """

    def make(scratch: Path) -> Path:
        tree, made, copy = scratch / "tree", scratch / "environment", scratch / "source"
        # what pip builds from it, it writes into it
        shutil.copytree(source, copy, ignore=shutil.ignore_patterns(".*", "__pycache__"))
        bootstrap(name, tree, packages.read_list(_LIST))
        _run_in(tree, "/usr/bin/python3", "-m", "venv", made)
        # without git, pbr has to be told a version
        _run_in(tree, "env", "-C", copy, "PBR_VERSION=0.0.1", made / "bin/python",
                "-m", "pip", "install", "-q", *words)
        return made

    digest = hashlib.sha256("\0".join(words).encode())
    for file in (Path(__file__), _LIST, *(source / each for each in files)):
        digest.update(file.read_bytes())
    return kept(cache / f"python-{name}-{digest.hexdigest()[:12]}", make)


def _sources(name: str, place: Path) -> list[Path]:
    """Where this machine's packages come from, with the code name of the release."""
    files = [_APT / "sources.list", *(_APT / "sources.list.d").glob("debian.sources")]
    made = []
    for file in files:
        if file.exists() and (text := file.read_text().strip()):
            made.append(place / file.name)
            made[-1].write_text(text.replace(own(), name) + "\n")
    return made


def _run_in(tree: Path, *command: str | Path) -> None:
    run("unshare", "--mount", "--propagation", "private", "sh", "-c", _INSIDE, "sh", tree,
        *command)
