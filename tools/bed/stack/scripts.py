# SPDX-License-Identifier: Apache-2.0
"""A script on its way into a guest, over HTTP."""

import subprocess
from collections.abc import Sequence
from dataclasses import dataclass

_NOTHING_SENT = "bytes sent: 0\n"


@dataclass(frozen=True)
class Answer:
    """What came of a script: ``printed`` by the guest, ``said`` by curl."""

    is_whole: bool
    printed: str
    said: str

    @property
    def is_not_sent(self) -> bool:
        """Whether nothing of it has left, so that it may be sent again and still runs once."""
        return self.said.endswith(_NOTHING_SENT)


def posted(
    url: str, script: str, within_s: float, *, connect_s: float = 10, through: Sequence[str] = (),
) -> Answer:
    """Send a script, once.

    :param within_s: how long all of it may take, ``connect_s`` until there is a connection
    :param through: a command that runs curl, for instance in a network namespace
    """
    done = subprocess.run(
        [*through, "curl", "--silent", "--show-error", "--fail",
         "--connect-timeout", str(connect_s), "--max-time", str(within_s),
         "--write-out", "%{stderr}bytes sent: %{size_upload}\n", "--data-binary", script, url],
        capture_output=True, text=True)
    return Answer(done.returncode == 0, done.stdout, done.stderr)
