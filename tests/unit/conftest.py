# SPDX-License-Identifier: Apache-2.0
"""What all these tests have in common: they are many, and end in seconds."""

import gc

import pytest


@pytest.hookimpl(trylast=True)
def pytest_collection_finish() -> None:
    """All that is imported stays until the end: the collector need not visit it again and again."""
    gc.collect()
    gc.freeze()
