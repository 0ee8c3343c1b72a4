# SPDX-License-Identifier: Apache-2.0
"""The way from a shell to the nova of this process: a recorded keystone gives out tokens, and what
keystone's middleware makes of a token is done here."""

import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from nova.api import wsgi
from wsgi_intercept import interceptor

from tests.functional.caller import ADMIN, MEMBER, READER, STRANGER, Caller

CALLERS = {f"token-of-{each.user}": each for each in (ADMIN, MEMBER, READER, STRANGER)}
Application = Callable[[dict[str, Any], Any], Iterable[bytes]]


def identified(application: Application) -> Application:
    """The application, which learns from the token who calls."""
    def identify(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        token = environ.get("HTTP_X_AUTH_TOKEN")
        if token is None:
            # which versions there are is told to everybody
            return application(environ, start_response)
        caller: Caller = CALLERS[token]
        environ.update({
            "HTTP_X_AUTH_USER": caller.user, "HTTP_X_USER_ID": caller.user,
            "HTTP_X_AUTH_PROJECT_ID": caller.project, "HTTP_X_ROLES": ",".join(caller.roles)})
        return application(environ, start_response)

    return identify


def intercepted(application: Application, host: str) -> interceptor.RequestsInterceptor:
    """The application as the HTTP server of that name; for a ``with``."""
    served = identified(application)
    return interceptor.RequestsInterceptor(lambda: served, url=f"http://{host}:80")


def without_nova_qos() -> Application:
    """nova's API as it is shipped."""
    shipped = Path(sys.prefix, "etc/nova/api-paste.ini")
    application: Application = wsgi.Loader(str(shipped)).load_app("osapi_compute")
    return application
