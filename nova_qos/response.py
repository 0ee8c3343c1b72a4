# SPDX-License-Identifier: Apache-2.0
"""An answer of nova's API: its body, or the error that it stands for."""

from collections.abc import Mapping
from typing import Any

from nova_qos.core.errors import ApiRefused


def parsed(response: Any) -> dict[str, Any]:
    """The body, empty where it is no JSON object."""
    try:
        body = response.json()
    except ValueError:
        body = None
    return body if isinstance(body, dict) else {}


def message_of(body: Mapping[str, Any]) -> tuple[str, bool]:
    """The sentence of an error, in one line, and whether nova wrote it.

    nova words its own errors; what no route leads to is answered by its web framework.
    """
    fault = next(iter(body.values()), None)
    is_novas = isinstance(fault, dict) and "message" in fault
    message = fault["message"] if is_novas and fault else body.get("message", "")
    return " ".join(str(message).split()), is_novas


def require_body(body: Mapping[str, Any], response: Any, asked: str) -> None:
    """Refuse to go by an answer that should have a JSON object, and has something else.

    :raises ApiRefused: a proxy or a page to log in has answered in the place of nova
    """
    if not body:
        raise ApiRefused(f"{asked}: the answer is not nova's", response.status_code)


def refusal(response: Any, message: str, asked: str) -> ApiRefused:
    """The error that this answer to ``asked`` stands for."""
    return ApiRefused(
        message or f"{asked}: the API refused without a message", response.status_code,
        response.headers.get("x-openstack-request-id"))
