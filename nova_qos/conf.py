# SPDX-License-Identifier: Apache-2.0
"""Every option of ours; they stand in nova.conf."""

from oslo_config import cfg, types

from nova_qos import balance_options


class MarkMask(types.String):
    """A string such as 0x00001fff: 8 to 16 of the 32 bits of a packet's mark."""

    def __init__(self) -> None:
        super().__init__(regex="0x[0-9a-fA-F]{1,8}$", type_name="bits in hexadecimal")

    def __call__(self, value: object) -> str:
        text = str(super().__call__(value))
        if not 8 <= int(text, 16).bit_count() <= 16:
            raise ValueError(f"{text} does not have 8 to 16 bits")
        return text


class Listen(types.String):
    """An address and a port to listen on, such as 127.0.0.1:9177 or [::1]:9177; empty: none."""

    def __init__(self) -> None:
        super().__init__(regex=r"^((\[[0-9a-fA-F:.]+\]|[^:\[\]\s]+):[0-9]{1,5})?$",
                         type_name="address and port")

    def __call__(self, value: object) -> str:
        text = str(super().__call__(value))
        if text and not 0 < int(text.rpartition(":")[2]) < 2**16:
            raise ValueError(f"{text} has no port from 1 to 65535")
        return text


#: The groups of metrics that can be left out.
METRICS_GROUPS = ("settings", "cpu", "pressure", "memory", "disk", "network", "uplink")

GROUP = cfg.OptGroup("nova_qos", title="Resources of running servers")
TC_GROUP = cfg.OptGroup("tc", title="Traffic of servers")
DATABASE_GROUP = cfg.OptGroup("nova_qos_database", title="Database of named policies")

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
        help="Seconds that a request waits until a guest's balloon has reached the requested size. "
        "When it has not, the answer is success 0 with the size reached; the balloon keeps moving "
        "towards it. The API waits for as long as the server's agent says.",
    ),
    cfg.IntOpt(
        "memory_reserve_mib",
        default=32,
        min=0,
        help="MiB left to a guest beyond what it uses at the moment. A smaller memory is refused "
        "with the lowest safe value unless the caller forces it. Larger is safer for guests, "
        "smaller frees more.",
    ),
    cfg.ListOpt(
        "uplinks",
        default=[],
        help="Devices of the host through which servers' traffic leaves it, such as eth1 or "
        "bond0: network priorities act there. When unset, the device of the default route is "
        "taken, or what lies below it where that is a VLAN or a bridge.",
    ),
    cfg.IntOpt(
        "default_net_weight",
        default=50,
        min=1,
        max=99,
        help="Weight of a server without a network priority while another server of the host "
        "has a priority or guarantee. A priority p has the weight 99 - p, so 50 is like priority "
        "49. Larger gives more to servers that nobody has set.",
    ),
    cfg.Opt(
        "mark_mask",
        type=MarkMask(),
        default="0x00001fff",
        help="Bits of a packet's mark that carry the number of its server's class while a server "
        "of the host has a setting for outbound traffic; other bits stay as they are. No other "
        "program of the host may use these bits. The default avoids those of neutron's address "
        "scopes and Calico (0xffff0000), kube-proxy (0x4000 and 0x8000) and the CNI plug-in "
        "portmap (0x2000); choose other bits where nova-qos-agent --check warns of a rule. A "
        "host can have half as many servers as there are numbers: 13 bits, the default, are enough "
        "for 4088 with a priority and as many without, 8 bits for 120.",
    ),
    cfg.IntOpt(
        "cpu_share_per_vcpu",
        default=0,
        min=0,
        max=1024,
        help="CPU shares a vCPU of servers whose CPU priority nobody has set: while all are busy, "
        "one with four vCPUs then gets four times the CPU time of one with a single vCPU. Nova "
        "gave 1024 a vCPU before 26.0.0; since then all servers have the same number, however "
        "large. 0 keeps nova's behaviour. A flavor with quota:cpu_shares keeps its own value. The "
        "API reads this option, too, to show the default: set the same value there.",
    ),
    cfg.IntOpt(
        "check_interval",
        default=60,
        min=1,
        help="Seconds between two checks of all servers of a host that have settings. The agent "
             "detects drift within this time.",
    ),
    cfg.StrOpt(
        "drift",
        default="correct",
        choices=[
            ("correct", "restore the requested value"),
            ("report", "leave the value in place and report it in get-qos"),
        ],
        help="What the agent does about drift: a value that another program changed on the host "
             "while the server was running.",
    ),
    cfg.StrOpt(
        "memory_soft_limit_v2",
        default="protect",
        choices=[
            ("protect", "memory.low: while the host is short of memory, the kernel reclaims a "
                        "server's memory up to its soft limit last"),
            ("throttle", "memory.high: the kernel slows a server that uses more than its soft "
                         "limit and reclaims its memory at any time, even if the host has free "
                         "memory"),
        ],
        help="How a memory soft limit is enforced on a host with cgroup v2, which has no soft "
             "limits. The option has no effect on a host with cgroup v1.",
    ),
    cfg.StrOpt(
        "state_directory",
        default="/var/lib/nova-qos",
        help="Where the agent keeps what must outlive it: its copy of the named policies, and a "
             "change of several servers together that it has yet to finish. It makes the directory "
             "if it may.",
    ),
    cfg.IntOpt(
        "policy_interval",
        default=60,
        min=1,
        max=86400,
        help="Seconds between two questions of an agent to nova's API whether the named policies "
        "have changed, give or take a tenth. The API also tells the agents of each change over the "
        "message bus; the interval bounds the delay where such a message is lost.",
    ),
    cfg.StrOpt(
        "auth_section",
        help="Section of nova.conf with the credentials (auth_type and the options that it needs) "
        "by which the agent asks nova's API for the named policies; cafile, insecure, timeout and "
        "region_name are read there, too. When unset, the first of service_user and placement that "
        "has an auth_type. The user needs the role service or admin.",
    ),
    cfg.URIOpt(
        "endpoint_override",
        schemes=["http", "https"],
        help="URL of nova's API for the agent, with /v2.1, such as http://192.0.2.1:8774/v2.1. "
        "When unset, that of the internal interface in keystone's catalog, or else of the public "
        "one.",
    ),
    cfg.IntOpt(
        "scheduler_interval",
        default=30,
        min=5,
        max=3600,
        help="Seconds after which nova's scheduler, where GuaranteeFilter or GuaranteeWeigher is "
        "configured there, asks nova's API anew what hosts have guaranteed. One request is for all "
        "hosts, and no server waits for it. Figures of five times that age do not count any more.",
    ),
    cfg.FloatOpt(
        "guarantee_weight_multiplier",
        default=1.0,
        help="How much GuaranteeWeigher counts beside the other weighers of nova's scheduler, of "
        "which most have 1.0. 0 switches it off.",
    ),
    cfg.Opt(
        "metrics_listen",
        type=Listen(),
        sample_default="127.0.0.1:9177",
        help="Address and port on which the agent serves metrics of its host and servers for "
        "Prometheus, such as 127.0.0.1:9177 or [::1]:9177. When unset or empty, it serves none. "
        "Whoever can reach it reads the names and projects of all servers of the host: listen on "
        "loopback or a management network, and beyond loopback with TLS and client certificates. "
        "Where the address cannot be used, the agent logs why and works without metrics.",
    ),
    cfg.StrOpt(
        "metrics_cert_file",
        help="File with the certificate of the metrics' server, and those above it, in PEM. With "
        "it, metrics are served over TLS 1.2 or later alone. It is read when the agent starts.",
    ),
    cfg.StrOpt(
        "metrics_key_file",
        help="File with the private key of metrics_cert_file, in PEM, which the agent's user can "
        "read.",
    ),
    cfg.StrOpt(
        "metrics_client_ca_file",
        help="File with the certificates, in PEM, by which the agent checks those of its clients. "
        "With it, a client without a certificate of these authorities is refused. It needs "
        "metrics_cert_file.",
    ),
    cfg.ListOpt(
        "metrics_groups",
        item_type=types.String(choices=METRICS_GROUPS),
        default=list(METRICS_GROUPS),
        help="The groups of metrics to serve: settings, cpu, pressure, memory, disk, network and "
        "uplink. Fewer make fewer series in Prometheus, and less work for the agent at each "
        "scrape; libvirt is asked the same. The agent's own are always there.",
    ),
    cfg.FloatOpt(
        "hook_timeout",
        default=10.0,
        min=0.1,
        help="Seconds that a post-create hook may take; after that the agent ignores the hook for "
             "this server.",
    ),
]

TC_OPTIONS = [
    cfg.IntOpt(
        "htb_rate",
        default=80,
        min=1,
        max=1_000_000,
        help="Mbit/s that all servers' outbound traffic may take together on each uplink while "
        "a server of the host has a network priority or guarantee. Traffic of the host itself is "
        "not counted, so choose what the uplink carries less what the host needs.",
    ),
    cfg.IntOpt(
        "htb_rate_in",
        min=1,
        max=1_000_000,
        help="Mbit/s that all servers may receive together from outside of the host while one of "
        "them has an inbound priority or guarantee; without it there are inbound limits alone. It "
        "works only where it is less than what really arrives: choose a little less than the "
        "uplink carries.",
    ),
]

DATABASE_OPTIONS = [
    cfg.StrOpt(
        "connection",
        secret=True,
        help="URL of the database with the named policies, as SQLAlchemy takes it, such as "
        "mysql+pymysql://nova_qos:PASSWORD@HOST/nova_qos or "
        "postgresql+psycopg2://nova_qos:PASSWORD@HOST/nova_qos. The API and nova-qos-manage read "
        "it, agents do not. Without it there are no named policies: requests for them are answered "
        "501.",
    ),
    cfg.IntOpt(
        "connection_recycle_time",
        default=3600,
        min=1,
        help="Seconds after which a connection to the database is replaced before it is used "
        "again. Keep it below the time after which a load balancer in front of the database cuts "
        "idle connections.",
    ),
    cfg.IntOpt(
        "max_pool_size",
        default=5,
        min=1,
        help="Connections to the database that each process of the API keeps open.",
    ),
    cfg.IntOpt(
        "max_overflow",
        default=50,
        min=0,
        help="Connections to the database that each process of the API may open beyond "
        "max_pool_size while it needs them. A request that gets none within a second is answered "
        "503.",
    ),
]


def register(conf: cfg.ConfigOpts) -> None:
    """Make the options known to a service's configuration; doing so twice is harmless."""
    conf.register_group(GROUP)
    conf.register_opts(OPTIONS, group=GROUP)
    conf.register_group(TC_GROUP)
    conf.register_opts(TC_OPTIONS, group=TC_GROUP)
    conf.register_group(DATABASE_GROUP)
    conf.register_opts(DATABASE_OPTIONS, group=DATABASE_GROUP)
    conf.register_group(balance_options.GROUP)
    conf.register_opts(balance_options.OPTIONS, group=balance_options.GROUP)


def list_opts() -> list[tuple[cfg.OptGroup, list[cfg.Opt]]]:
    """For the sample generator."""
    return [(GROUP, OPTIONS), (TC_GROUP, TC_OPTIONS), (DATABASE_GROUP, DATABASE_OPTIONS),
            (balance_options.GROUP, balance_options.OPTIONS)]
