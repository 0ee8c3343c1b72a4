# SPDX-License-Identifier: Apache-2.0
"""systemd, which owns the groups of its units: others ask it to change them."""

from contextlib import closing, suppress
from pathlib import Path

from jeepney import DBusAddress, DBusErrorResponse, Message, new_method_call
from jeepney.io.blocking import open_dbus_connection
from jeepney.wrappers import unwrap_msg

from nova_qos import errors

_RUNS = Path("/run/systemd/system")
_SERVICE = "org.freedesktop.systemd1"
_MANAGER = DBusAddress(
    "/org/freedesktop/systemd1", bus_name=_SERVICE, interface=f"{_SERVICE}.Manager")
_TIMEOUT_SECONDS = 20.0
_UNITS = (".scope", ".slice")
_FORBIDDEN = ("AccessDenied", "InteractiveAuthorizationRequired", "AuthFailed")
#: Where it keeps what it was told until the host restarts.
_TOLD = (Path("/run/systemd/system.control"), Path("/run/systemd/transient"))


def owns(group_name: str) -> bool:
    """Whether a group of this name is systemd's to change."""
    return group_name.endswith(_UNITS) and _RUNS.exists()


class Systemd:
    """The system's manager, asked over D-Bus; used by many threads.

    Each method raises HostCannot when there is no asking it, HostRefused when it does not do it.
    """

    def set_property(self, unit: str, name: str, value: int) -> None:
        """Set a numeric property of a running unit until the host restarts."""
        body = (unit, True, [(name, ("t", value))])
        self._ask(new_method_call(_MANAGER, "SetUnitProperties", "sba(sv)", body))

    def forget_property(self, unit: str, name: str) -> None:
        """Have what was set forgotten: the unit keeps it until the next reload of systemd, then it
        has what its configuration says."""
        for place in _TOLD:
            file = place / f"{unit}.d" / f"50-{name}.conf"
            file.unlink(missing_ok=True)
            with suppress(OSError):
                file.parent.rmdir()

    def _ask(self, message: Message) -> None:
        try:
            with closing(open_dbus_connection("SYSTEM")) as connection:
                unwrap_msg(connection.send_and_get_reply(message, timeout=_TIMEOUT_SECONDS))
        except DBusErrorResponse as error:
            raise _translated(error) from error
        except TimeoutError as error:
            raise errors.HostRefused(
                f"systemd has not answered for {_TIMEOUT_SECONDS:g} s") from error
        except (OSError, EOFError, KeyError, ValueError) as error:
            raise errors.HostCannot(
                f"systemd cannot be asked over D-Bus ({error}); the agent needs the system bus"
            ) from error


def _translated(error: DBusErrorResponse) -> errors.QosError:
    text = str(error.data[0]) if error.data else error.name
    if error.name.endswith(_FORBIDDEN):
        return errors.HostCannot(f"systemd does not let the agent do this ({text}); run it as root")
    return errors.HostRefused(f"systemd refused: {text}")
