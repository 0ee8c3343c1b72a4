# SPDX-License-Identifier: Apache-2.0
"""Bodies of requests checked by nova's own validator, after access was checked."""

from collections.abc import Iterable
from typing import Any

from nova import exception
from nova.api import validation

from nova_qos.core import errors
from nova_qos.core.value import Schema

_MOST_CHARACTERS = 400


def require(schema: Schema, body: Any, request: Any, ranges: Iterable[str] = ()) -> None:
    """Check a body, in nova's words.

    :param ranges: sentences on what would be accepted, to be added
    :raises InvalidSetting: the body does not match the schema
    """
    @validation.schema(schema)
    def accept(_controller: object, _request: Any, body: Any) -> None:
        """Nova's decorator has checked the body."""

    try:
        accept(None, request, body=body)
    except exception.ValidationError as error:
        # nova's words name the field and the value, however long; the ranges are ours to add
        words = error.format_message()
        if len(words) > _MOST_CHARACTERS:
            words = f"{words[:_MOST_CHARACTERS]}..."
        if not words.endswith("."):
            words = f"{words}."
        raise errors.InvalidSetting(" ".join([words, *ranges])) from error
