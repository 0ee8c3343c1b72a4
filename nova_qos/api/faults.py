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
    (errors.TaskInProgress, exc.HTTPConflict),
    (errors.ServerNotRunning, exc.HTTPConflict),
    (errors.HostRefused, exc.HTTPConflict),
    (errors.HostCannot, exc.HTTPNotImplemented),
    (errors.Unreachable, exc.HTTPServiceUnavailable),
)
#: For nova's declaration of what an action may answer.
CODES = (400, 403, 404, 409, 501, 503)

_Action = TypeVar("_Action", bound=Callable[..., object])


def translated(action: _Action) -> _Action:
    """The action with our errors, and nova's that it may raise, as HTTP faults."""

    @functools.wraps(action)
    def wrapped(*args: object, **kwargs: object) -> object:
        try:
            return action(*args, **kwargs)
        except errors.QosError as error:
            fault = next(fault for kind, fault in STATUS if isinstance(error, kind))
            raise fault(explanation=_encodable(error.message)) from error
        except (exception.ValidationError, exception.MarkerNotFound) as error:
            raise exc.HTTPBadRequest(explanation=_encodable(error.format_message())) from error
        except (exception.InstanceIsLocked, exception.InstanceInvalidState) as error:
            raise exc.HTTPConflict(explanation=error.format_message()) from error

    return wrapped  # type: ignore[return-value]


def _encodable(message: str) -> str:
    # a message quotes the request, and JSON can hold half a character ("\\ud800")
    return message.encode(errors="backslashreplace").decode()
