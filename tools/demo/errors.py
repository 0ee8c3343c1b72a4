# SPDX-License-Identifier: Apache-2.0
"""What ends the demo, besides a step of the test bed that fails."""


class DemoFailed(Exception):
    """The sides disagree; the message says which."""
