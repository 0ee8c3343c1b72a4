# SPDX-License-Identifier: Apache-2.0
"""libvirt's errors, translated here and nowhere else."""

import libvirt

from nova_qos.core import errors

_LOST_CODES = {
    libvirt.VIR_ERR_SYSTEM_ERROR,
    libvirt.VIR_ERR_INTERNAL_ERROR,
    libvirt.VIR_ERR_RPC,
    libvirt.VIR_ERR_NO_CONNECT,
    libvirt.VIR_ERR_INVALID_CONN,
}
_LOST_DOMAINS = {libvirt.VIR_FROM_REMOTE, libvirt.VIR_FROM_RPC}
_CANNOT_CODES = {
    libvirt.VIR_ERR_NO_SUPPORT,
    libvirt.VIR_ERR_CONFIG_UNSUPPORTED,
    libvirt.VIR_ERR_ARGUMENT_UNSUPPORTED,
    libvirt.VIR_ERR_OPERATION_UNSUPPORTED,
}


def is_connection_lost(error: libvirt.libvirtError) -> bool:
    """Whether the daemon went away under the call, so that nobody looked at the request."""
    return error.get_error_code() == libvirt.VIR_ERR_INVALID_CONN or (
        error.get_error_code() in _LOST_CODES and error.get_error_domain() in _LOST_DOMAINS
    )


def is_group_missing(error: libvirt.libvirtError) -> bool:
    """Whether libvirt has no control group for the domain: never, or not yet."""
    code = error.get_error_code()
    return code == libvirt.VIR_ERR_OPERATION_INVALID and "cgroup" in text(error)


def away(uri: str, why: str) -> errors.HostAway:
    """The error of a daemon that cannot be reached."""
    return errors.HostAway(f"libvirt does not answer at {uri}: {why}")


def why_not_opened(error: libvirt.libvirtError) -> str:
    """Why there is no connection, and where a password belongs."""
    if error.get_error_code() != libvirt.VIR_ERR_AUTH_FAILED:
        return text(error)
    return (f"{text(error)}; if it asks for a name and a password, put these into libvirt's "
            "auth.conf of the agent's user")


def translate(error: libvirt.libvirtError, running: bool) -> errors.QosError:
    """The error of ours that says the same as libvirt's.

    :param running: whether the domain still runs; libvirt has one code for "not running" and for
        "a control group is missing"
    """
    code = error.get_error_code()
    if code == libvirt.VIR_ERR_NO_DOMAIN or not running:
        return not_running()
    if code in _CANNOT_CODES or is_group_missing(error):
        return errors.HostCannot(f"libvirt cannot do this on this host: {text(error)}")
    return errors.HostRefused(f"libvirt refused: {text(error)}")


def of_file(error: OSError) -> errors.QosError:
    """The error of ours for a file of a control group."""
    if isinstance(error, PermissionError):
        return errors.HostCannot(f"the agent may not write {error.filename}; run it as root")
    if isinstance(error, FileNotFoundError):
        return errors.HostCannot(f"this kernel has no {error.filename}")
    return errors.HostRefused(f"the kernel refused: {error.strerror}: {error.filename}")


def not_running() -> errors.ServerNotRunning:
    """The error of a server without a running domain on this host."""
    return errors.ServerNotRunning("the server has no running domain on this host")


def text(error: libvirt.libvirtError) -> str:
    """What libvirt says of an error."""
    return str(error.get_error_message() or error)
