# SPDX-License-Identifier: Apache-2.0
"""Changes of several servers together, noted before they begin, so that an agent that is killed
meanwhile leaves all of them or none."""

import json
import time
import uuid
from collections.abc import Collection, Mapping
from pathlib import Path

from nova_qos.core import errors

_PATTERN = "together-*.json"


class Unfinished:
    """One file a change in the agent's directory: which resources of which servers the host may
    hold other values of than are saved. To make the host hold what is saved finishes it, whatever
    became of the change; used by many threads."""

    def __init__(self, directory: str) -> None:
        self._directory = Path(directory)
        #: Those of this process, with when they are to be finished (``time.monotonic``).
        self._mine: dict[Path, float] = {}

    def begin(self, servers: Mapping[str, Collection[str]], for_s: float) -> None:
        """Note a change before anything is written.

        :param servers: by server, the names of the resources
        :param for_s: for how long, in seconds, whoever asked may still be saving it
        :raises HostCannot: the agent may not write there
        """
        path = self._directory / f"together-{uuid.uuid4()}.json"
        # before it is there to be found
        self._mine[path] = time.monotonic() + for_s
        try:
            self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            new = path.with_suffix(".new")
            new.write_text(json.dumps({each: sorted(names) for each, names in servers.items()}))
            new.replace(path)
        except OSError as error:
            del self._mine[path]
            raise errors.HostCannot(
                f"the agent cannot note what it begins: {error}; give it a directory of its own "
                "as [nova_qos] state_directory") from error

    def due(self) -> dict[Path, dict[str, list[str]]]:
        """By file, the changes that nobody is at work on any more, this process's or an earlier
        one's: by server, the names of resources. A file that cannot be read has none."""
        now = time.monotonic()
        return {path: _read(path) for path in sorted(self._directory.glob(_PATTERN))
                if self._mine.get(path, 0.0) <= now}

    def end(self, path: Path) -> None:
        """Forget one: the host holds what is saved."""
        path.unlink(missing_ok=True)
        self._mine.pop(path, None)


def _read(path: Path) -> dict[str, list[str]]:
    try:
        found = json.loads(path.read_text())
        return {str(each): [str(name) for name in names] for each, names in found.items()}
    except (OSError, ValueError, AttributeError, TypeError):
        return {}
