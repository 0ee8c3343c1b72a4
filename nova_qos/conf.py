# SPDX-License-Identifier: Apache-2.0
"""Every option of ours; they stand in nova.conf."""

from oslo_config import cfg

GROUP = cfg.OptGroup("nova_qos", title="Resources of running servers")

OPTIONS = [
    cfg.IntOpt(
        "rpc_timeout",
        default=30,
        min=1,
        help="Seconds that the API waits for the agent on a server's host before it saves the "
        "setting for later and answers 202. Must be larger than balloon_timeout.",
    ),
    cfg.FloatOpt(
        "balloon_timeout",
        default=10.0,
        min=0.1,
        max=600.0,
        help="Seconds that the agent waits until a guest's balloon has reached the size asked "
        "for. When it has not, the answer is success 0 with the size reached; the guest goes on "
        "moving.",
    ),
    cfg.IntOpt(
        "memory_reserve_mib",
        default=32,
        min=0,
        help="MiB left to a guest beyond what it uses at the moment. A smaller memory is refused "
        "with the lowest safe value unless the caller forces it. Larger is safer for guests, "
        "smaller frees more.",
    ),
]


def register(conf: cfg.ConfigOpts) -> None:
    """Make the options known to a service's configuration; doing so twice is harmless."""
    conf.register_group(GROUP)
    conf.register_opts(OPTIONS, group=GROUP)


def list_opts() -> list[tuple[cfg.OptGroup, list[cfg.Opt]]]:
    """For the sample generator."""
    return [(GROUP, OPTIONS)]
