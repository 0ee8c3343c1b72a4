# SPDX-License-Identifier: Apache-2.0
"""Two cells of one nova, in a process of its own: nova's fixtures make one cloud a process."""

# first of all: it decides nova's threading
import tests.functional.conftest  # noqa: F401
