# SPDX-License-Identifier: Apache-2.0
"""The kernel's refusals, translated here and nowhere else."""

import errno
import os

from pyroute2.netlink.exceptions import NetlinkError

from nova_qos.core import errors
from nova_qos.net.netlink import GONE

_RIGHTS = "the agent may not change the network: it needs the capability CAP_NET_ADMIN"


def is_gone(error: NetlinkError) -> bool:
    """Whether the device, tree or class is not there."""
    return error.code in GONE


def of_netlink(error: NetlinkError, what: str) -> errors.QosError:
    """The error of ours for a refused change of ``what``."""
    if error.code in (errno.EPERM, errno.EACCES):
        return errors.HostCannot(f"prio: {_RIGHTS}")
    # without the scheduler the kernel knows no such kind
    if error.code == errno.EOPNOTSUPP:
        return errors.HostCannot(f"prio: this kernel has no HTB: {os.strerror(error.code)}")
    return errors.HostRefused(f"prio: the kernel refused {what}: {os.strerror(error.code)}")


def of_kind(error: NetlinkError, kind: str) -> errors.QosError:
    """The error of ours when the kernel was asked whether it has a kind of queueing discipline."""
    if is_gone(error):
        return errors.HostCannot(
            f"prio: this kernel has no queueing discipline {kind}: load the module sch_{kind}")
    return of_netlink(error, f"a queueing discipline {kind}")


def of_nft(words: str, status: int) -> errors.QosError:
    """The error of ours for what nft said, and how it ended."""
    said = " ".join(words.split())[:300]
    if status < 0:
        return errors.HostRefused(
            f"prio: nft was ended by signal {-status}, as versions before 1.1 are where a later "
            "one has made sets: use one version on the host; the later one can delete the table "
            "netdev nova_qos")
    if "not permitted" in said or "ermission denied" in said:
        return errors.HostCannot(f"prio: {_RIGHTS}")
    if "Invalid chain hook" in said:
        return errors.HostCannot(
            f"prio: this version of nft knows no chains on outgoing packets: {said}")
    if "not supported" in said:
        return errors.HostCannot(
            "prio: this kernel has no nftables chains on outgoing packets, which came with "
            f"5.16: {said}")
    return errors.HostRefused(f"prio: nft refused: {said}")
