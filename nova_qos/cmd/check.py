# SPDX-License-Identifier: Apache-2.0
"""nova-qos-agent --check: what this host can do, a line a resource."""

import sys
from collections.abc import Mapping

from oslo_config import cfg

from nova_qos import errors
from nova_qos.ability import Ability
from nova_qos.net.shaper import Shaper
from nova_qos.resources import TABLE
from nova_qos.virt import survey


def run(options: cfg.ConfigOpts, uri: str, network: Shaper) -> int:
    """Print it; needs neither message bus nor database and changes nothing on the host.

    :returns: the exit status: 0 when everything works, 1 when something does not, or libvirt does
        not answer
    """
    try:
        abilities = survey.survey(_configuration(options, uri))
    except errors.HostAway as error:
        print(f"{error.message}. Start libvirtd, or correct [libvirt] connection_uri")
        return 1
    abilities["net_priority"] = network.survey()
    sys.stdout.writelines(lines(abilities))
    return 0 if all(ability.works for ability in abilities.values()) else 1


def lines(abilities: Mapping[str, Ability]) -> list[str]:
    """The report, in the table's order."""
    return [f"{name}: {abilities[name]}\n" for name in TABLE]


def _configuration(options: cfg.ConfigOpts, uri: str) -> survey.Configuration:
    return survey.Configuration(
        connection_uri=uri,
        instances_path=options.instances_path,
        images_type=options.libvirt.images_type,
        mem_stats_period_s=options.libvirt.mem_stats_period_seconds,
        soft_limit_v2=options.nova_qos.memory_soft_limit_v2)
