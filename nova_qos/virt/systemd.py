# SPDX-License-Identifier: Apache-2.0
"""systemd owns the control groups of its units, so changes of those go through it."""

import socket
import time
from contextlib import closing, suppress
from pathlib import Path

from jeepney import DBusAddress, DBusErrorResponse, Message, new_method_call
from jeepney.bus import get_bus
from jeepney.io.blocking import DBusConnection, prep_socket
from jeepney.wrappers import unwrap_msg

from nova_qos.core import errors
from nova_qos.virt.groups import Group

_RUNS = Path("/run/systemd/system")
_SERVICE = "org.freedesktop.systemd1"
_MANAGER = DBusAddress(
    "/org/freedesktop/systemd1", bus_name=_SERVICE, interface=f"{_SERVICE}.Manager")
_LIMIT_S = 20.0
_UNITS = (".scope", ".slice")
_FORBIDDEN = ("AccessDenied", "InteractiveAuthorizationRequired", "AuthFailed")
#: Where it keeps drop-ins that last until the host restarts.
_TOLD = (Path("/run/systemd/system.control"), Path("/run/systemd/transient"))


def owns(group: Group) -> bool:
    """Whether a group is systemd's to change: a unit's, and not one of the same name in a
    container."""
    return (group.name.endswith(_UNITS) and _RUNS.exists()
            and all(above.name.endswith(".slice") for above in group.above()))


class _Bus(DBusConnection):
    """A connection to the bus that waits for nothing beyond a point in time.

    By itself it would wait without limit for the answer to its first message, Hello.
    """

    def __init__(self, opened: socket.socket, until: float) -> None:
        """:param until: as ``time.monotonic`` counts"""
        self._until = until
        super().__init__(opened)

    def receive(self, *, timeout: float | None = None) -> Message:
        """See the class; the time limit of the caller does not count."""
        return super().receive(timeout=max(0.0, self._until - time.monotonic()))


class Systemd:
    """The system's manager, over D-Bus; used by many threads.

    Each method raises HostCannot when it cannot be reached, HostRefused when it refuses or does
    not answer in time.
    """

    def __init__(self, limit_s: float = _LIMIT_S) -> None:
        """:param limit_s: how long it may take to answer"""
        self._limit_s = limit_s

    def write(
        self, group: Group, file: str, value: int, name: str, property_value: int
    ) -> None:
        """Set a file of a group to a value: through systemd's property where systemd owns the
        group, else by writing the file."""
        if owns(group):
            self.set_property(group.name, name, property_value)
            # not every version of systemd maps the property to the same value
            if group.comes_to(file, value):
                return
        group.write(file, value)

    def set_property(self, unit: str, name: str, value: int) -> None:
        """Set a numeric property of a running unit until the host restarts."""
        body = (unit, True, [(name, ("t", value))])
        self._ask(new_method_call(_MANAGER, "SetUnitProperties", "sba(sv)", body))

    def forget_property(self, unit: str, name: str) -> None:
        """Remove our drop-in: the unit keeps the value until systemd reloads, and then has that of
        its configuration."""
        for place in _TOLD:
            file = place / f"{unit}.d" / f"50-{name}.conf"
            file.unlink(missing_ok=True)
            with suppress(OSError):
                file.parent.rmdir()

    def _ask(self, message: Message) -> None:
        until = time.monotonic() + self._limit_s
        try:
            with closing(prep_socket(get_bus("SYSTEM"), timeout=self._limit_s)) as opened, \
                    _Bus(opened, until) as bus:
                unwrap_msg(bus.send_and_get_reply(message))
        except DBusErrorResponse as error:
            raise _translated(error) from error
        except TimeoutError as error:
            raise errors.HostRefused(
                f"systemd has not answered over D-Bus for {self._limit_s:g} s") from error
        except (OSError, EOFError, KeyError, ValueError) as error:
            raise errors.HostCannot(
                f"the agent cannot reach systemd over D-Bus ({error}); it needs the system bus"
            ) from error


def _translated(error: DBusErrorResponse) -> errors.QosError:
    text = str(error.data[0]) if error.data else error.name
    if error.name.endswith(_FORBIDDEN):
        return errors.HostCannot(f"systemd does not let the agent do this ({text}); run it as root")
    return errors.HostRefused(f"systemd refused: {text}")
