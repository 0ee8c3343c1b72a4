# SPDX-License-Identifier: Apache-2.0
"""The file in which the agent's copy of the policies outlives it."""

import json
import os
from pathlib import Path

from oslo_log import log

from nova_qos.core import errors
from nova_qos.core.policy import Catalog

LOG = log.getLogger(__name__)


class Kept:
    """``policies.json`` in the agent's directory, for the agent alone to read.

    No error of the file is one of the agent: without it, the copy lasts as long as the process.
    """

    def __init__(self, directory: str) -> None:
        self._path = Path(directory) / "policies.json"

    def read(self) -> tuple[Catalog, float] | None:
        """What was written last: the policies, and when they were fetched (s since 1970); None
        where there is no such file, or one that cannot be read, which is logged."""
        try:
            found = json.loads(self._path.read_text())
            return Catalog.from_json(found["catalog"]), float(found["fetched_at"])
        except FileNotFoundError:
            return None
        except (OSError, ValueError, TypeError, KeyError, errors.InvalidSetting) as error:
            LOG.warning("Ignored the copy of the policies in %s: %s", self._path, error)
            return None

    def write(self, catalog: Catalog, fetched_at: float) -> None:
        """Replace it as a whole; where that fails, what was there stays, which is logged."""
        text = json.dumps({"catalog": catalog.to_json(), "fetched_at": fetched_at})
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._replace(text)
        except OSError as error:
            LOG.warning("Could not keep a copy of the policies for the next start: %s; give the "
                        "agent a directory of its own as [nova_qos] state_directory", error)

    def _replace(self, text: str) -> None:
        new = self._path.with_suffix(".new")
        new.unlink(missing_ok=True)
        with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(text)
            file.flush()
            # it is wanted most after a power failure, when the API is not back yet
            os.fsync(file.fileno())
        new.replace(self._path)
