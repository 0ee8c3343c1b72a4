# SPDX-License-Identifier: Apache-2.0
"""What nova can do to a server on its host."""

from collections.abc import Sequence

Step = tuple[str, object, str]
#: Each leaves the server running; the last word is the status that the step ends in.
OPERATIONS: dict[str, Sequence[Step]] = {
    "stop, start": [("os-stop", None, "SHUTOFF"), ("os-start", None, "ACTIVE")],
    "hard reboot": [("reboot", {"type": "HARD"}, "ACTIVE")],
    "pause, unpause": [("pause", None, "PAUSED"), ("unpause", None, "ACTIVE")],
    "suspend, resume": [("suspend", None, "SUSPENDED"), ("resume", None, "ACTIVE")],
    "rescue, unrescue": [("rescue", None, "RESCUE"), ("unrescue", None, "ACTIVE")],
    "shelve, unshelve": [("shelve", None, "SHELVED_OFFLOADED"), ("unshelve", None, "ACTIVE")],
}
