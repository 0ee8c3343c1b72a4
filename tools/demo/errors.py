# SPDX-License-Identifier: Apache-2.0
"""What ends the demo."""


class DemoFailed(Exception):
    """A step failed or the sides disagree; the message says which."""
