# SPDX-License-Identifier: Apache-2.0
"""What goes wrong while a test bed is brought up."""


class TestbedError(Exception):
    """A step of the test bed failed; the message says which and where its log is."""

    __test__ = False
