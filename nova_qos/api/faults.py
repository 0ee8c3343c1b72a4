# SPDX-License-Identifier: Apache-2.0
"""Our errors as HTTP answers: the one table."""

import functools
from collections.abc import Callable
from typing import TypeVar

from nova import exception
from webob import exc

from nova_qos.core import errors

#: The first class that an error belongs to decides.
STATUS: tuple[tuple[type[errors.QosError], type[exc.HTTPError]], ...] = (
    (errors.InvalidSetting, exc.HTTPBadRequest),
    (errors.ServerGone, exc.HTTPNotFound),
    (errors.NoSuchHost, exc.HTTPNotFound),
    (errors.NoSuchPolicy, exc.HTTPNotFound),
    (errors.PolicyConflict, exc.HTTPConflict),
    (errors.PolicyChanged, exc.HTTPPreconditionFailed),
    (errors.NoDatabase, exc.HTTPNotImplemented),
    (errors.TaskInProgress, exc.HTTPConflict),
    (errors.ServerNotRunning, exc.HTTPConflict),
    (errors.HostRefused, exc.HTTPConflict),
    (errors.HostCannot, exc.HTTPNotImplemented),
    (errors.Unreachable, exc.HTTPServiceUnavailable),
)
_NOVAS: dict[type[Exception], type[exc.HTTPError]] = {
    exception.ValidationError: exc.HTTPBadRequest,
    exception.MarkerNotFound: exc.HTTPBadRequest,
    exception.InstanceNotFound: exc.HTTPNotFound,
    exception.InstanceIsLocked: exc.HTTPConflict,
    exception.InstanceInvalidState: exc.HTTPConflict,
    # nova answers this one by itself, but not where it is about one of several servers
    exception.PolicyNotAuthorized: exc.HTTPForbidden,
}
#: What our code lets pass.
EXPECTED: tuple[type[Exception], ...] = (errors.QosError, *_NOVAS)
#: For nova's declaration of what an action may answer.
CODES = (400, 403, 404, 409, 412, 501, 503)

_Action = TypeVar("_Action", bound=Callable[..., object])


def translated(action: _Action) -> _Action:
    """The action with our errors, and nova's that it may raise, as HTTP faults."""

    @functools.wraps(action)
    def wrapped(*args: object, **kwargs: object) -> object:
        try:
            return action(*args, **kwargs)
        except EXPECTED as error:
            raise fault_of(error) from error

    return wrapped  # type: ignore[return-value]


def fault_of(error: Exception) -> exc.HTTPError:
    """The HTTP fault of one of ``EXPECTED``."""
    if isinstance(error, errors.QosError):
        fault = next(fault for kind, fault in STATUS if isinstance(error, kind))
        return fault(explanation=_encodable(error.message))
    fault = next(fault for kind, fault in _NOVAS.items() if isinstance(error, kind))
    return fault(explanation=_encodable(error.format_message()))  # type: ignore[attr-defined]


def _encodable(message: str) -> str:
    # a message quotes the request, and JSON can hold half a character ("\\ud800")
    return message.encode(errors="backslashreplace").decode()
