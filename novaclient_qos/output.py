# SPDX-License-Identifier: Apache-2.0
"""Standard output whose reader may leave before the work is done, as in ``| head -1``."""

import os
import sys

#: What shells report of a program that wrote into a closed pipe: 128 + SIGPIPE.
BROKEN_PIPE_STATUS = 141


def discard() -> None:
    """Discard what is printed from now on, and what Python still holds in its buffer."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)


class Lines:
    """Prints lines as long as that is possible, and never stops the work that they tell about."""

    _error: OSError | None = None

    def print(self, line: str) -> None:
        """Print a line now."""
        try:
            print(line, flush=True)
        except OSError as error:
            self._error = error
            discard()

    def end(self) -> None:
        """End the command as shells expect it if a line could not be printed.

        :raises SystemExit: the reader has left
        :raises OSError: anything else, such as a full disk
        """
        if isinstance(self._error, BrokenPipeError):
            raise SystemExit(BROKEN_PIPE_STATUS)
        if self._error is not None:
            raise self._error
