# SPDX-License-Identifier: Apache-2.0
"""The form of a refusal."""

from collections.abc import Mapping
from typing import Any


def fault_of(body: object) -> Mapping[str, Any]:
    """The fault in the body of a refusal, with or without the name of its kind around it."""
    if not isinstance(body, Mapping):
        return {}
    inner = next(iter(body.values()), None)
    return inner if len(body) == 1 and isinstance(inner, Mapping) else body
