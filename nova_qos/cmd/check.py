# SPDX-License-Identifier: Apache-2.0
"""nova-qos-agent --check: what this host can do, a line a resource."""

import logging
import sys
from collections.abc import Mapping

from oslo_config import cfg

from nova_qos.agent.fetching import Fetcher
from nova_qos.core import errors
from nova_qos.core.policy import Catalog
from nova_qos.host import Ability, Networks
from nova_qos.resources import TABLE
from nova_qos.virt import survey
from nova_qos.virt.kernel import Configuration


def run(options: cfg.ConfigOpts, uri: str, networks: Networks) -> int:
    """Print it; needs neither message bus nor database and changes nothing on the host. It requests
    the named policies from nova's API.

    :returns: the exit status: 0 when everything works, 1 when something does not, or libvirt does
        not answer
    """
    # what would be logged is printed
    logging.disable()
    try:
        found, warnings = abilities(options, uri, networks), policies(options)
    except errors.HostAway as error:
        print(f"{error.message}. Start libvirtd, or correct [libvirt] connection_uri")
        return 1
    finally:
        logging.disable(logging.NOTSET)
    sys.stdout.writelines([*lines(found), *warnings])
    return 0 if all(ability.works for ability in found.values()) else 1


def abilities(
    options: cfg.ConfigOpts, uri: str, networks: Networks
) -> dict[str, Ability]:
    """What this host can do with each resource that it holds; changes nothing.

    :raises HostAway: libvirt does not answer
    """
    found = survey.survey(_configuration(options, uri))
    for network in networks.values():
        found |= network.abilities()
    return found


def lines(found: Mapping[str, Ability]) -> list[str]:
    """The report, in the table's order, and warnings after it; what no object of the host holds is
    left out."""
    names = [name for name, row in TABLE.items() if row.knob is not None]
    return [
        *(f"{name}: {found[name]}\n" for name in names),
        *(f"warning: {name}: {each}\n" for name in names for each in found[name].warnings),
    ]


def policies(options: cfg.ConfigOpts) -> list[str]:
    """A warning where this host has credentials to fetch named policies with, and cannot."""
    try:
        Fetcher(options)(Catalog(), None)
    except errors.NoDatabase:
        # a cloud without policies, or a host that is to have none
        return []
    except errors.Unreachable as error:
        return [f"warning: policies: {error.message}\n"]
    return []


def _configuration(options: cfg.ConfigOpts, uri: str) -> Configuration:
    return Configuration(
        connection_uri=uri,
        instances_path=options.instances_path,
        images_type=options.libvirt.images_type,
        mem_stats_period_s=options.libvirt.mem_stats_period_seconds,
        soft_limit_v2=options.nova_qos.memory_soft_limit_v2,
        rpc_timeout_s=options.nova_qos.rpc_timeout)
