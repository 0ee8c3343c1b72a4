# SPDX-License-Identifier: Apache-2.0
"""The release before this one in the same process: its agent, and its API's side of the bus."""

import importlib
import re
import subprocess
import sys
import zipfile
from io import BytesIO
from pathlib import Path
from types import ModuleType

#: A commit with the wire 1.1, which knows the first resources alone and takes one server at a time.
COMMIT = "4c0562329124686e6826a6d411e782fb0085a7da"
NAME = "nova_qos_before"
_ROOT = Path(__file__).parents[2]
_IMPORT = re.compile(r"^(\s*)(from|import) (nova_qos)\b", re.MULTILINE)


def unpack(place: Path) -> bool:
    """Put the package there under another name, with its host in memory, and make it importable;
    False where the history is not at hand, as in an exported tree."""
    done = subprocess.run(
        ["git", "-C", str(_ROOT), "archive", "--format=zip", COMMIT, "nova_qos",
         "tests/fakehost.py"],
        capture_output=True)
    if done.returncode:
        return False
    with zipfile.ZipFile(BytesIO(done.stdout)) as archive:
        archive.extractall(place)
    package = (place / "nova_qos").rename(place / NAME)
    (place / "tests/fakehost.py").rename(package / "fakehost.py")
    for path in package.rglob("*.py"):
        path.write_text(_IMPORT.sub(rf"\1\2 {NAME}", path.read_text()))
    # one process has one set of options, and errors cross its bus as they are
    with (package / "conf.py").open("a") as file:
        file.write("\n\ndef register(conf):\n    pass\n")
    (package / "errors.py").write_text(
        "from nova_qos.core.errors import *\nfrom nova_qos.core.errors import by_name\n"
        "BY_NAME = by_name()\n")
    sys.path.insert(0, str(place))
    return True


def module(name: str) -> ModuleType:
    """A module of that release."""
    return importlib.import_module(f"{NAME}.{name}")
