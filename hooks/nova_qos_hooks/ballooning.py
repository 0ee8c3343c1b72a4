# SPDX-License-Identifier: Apache-2.0
"""New servers start with a part of their flavor's memory: ``[libvirt] ballooning_ram_ratio``."""

from collections.abc import Mapping

from oslo_config import cfg

from nova_qos.core.server import NewServer

GROUP = "libvirt"
OPTIONS = [
    cfg.FloatOpt(
        "ballooning_ram_ratio",
        default=1.0,
        min=1.0,
        help="A new server's memory after its creation is its flavor's memory divided by this "
        "ratio; 1 = no reduction. The agent never takes memory that the guest uses, and skips "
        "servers whose memory cannot be reclaimed (no balloon driver, PCI passthrough, huge "
        "pages, locked "
        "memory). nova-qos-agent reads it.",
    ),
]


class Ballooning:
    """Gives new servers less memory than their flavor has."""

    def __init__(self, options: cfg.ConfigOpts) -> None:
        """:raises oslo_config.cfg.ConfigFileValueError: the ratio is less than 1"""
        options.register_opts(OPTIONS, group=GROUP)
        self._ratio = options[GROUP].ballooning_ram_ratio

    def __call__(self, server: NewServer) -> Mapping[str, int]:
        """The memory in MiB that a new server is to have, nothing when the ratio is 1."""
        if self._ratio == 1:
            return {}
        return {"memory": max(1, int(server.flavor.memory_mib / self._ratio))}


def list_opts() -> list[tuple[str, list[cfg.Opt]]]:
    """For the sample generator."""
    return [(GROUP, OPTIONS)]
