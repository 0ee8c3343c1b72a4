# SPDX-License-Identifier: Apache-2.0
"""The options of the tests in tempest.conf."""

from oslo_config import cfg

#: In Tempest's own group of services.
AVAILABLE_GROUP = "service_available"
GROUP = cfg.OptGroup("nova_qos", title="Tests of nova-qos")
AVAILABLE = [
    cfg.BoolOpt(
        "nova_qos", default=True,
        help="Whether the compute API has nova-qos. If not, all its tests are skipped."),
]
OPTIONS = [
    cfg.IntOpt(
        "cpu_priority", default=2048, min=2, max=262144,
        help="CPU priority in shares that the tests set on servers of their own. Hosts with "
             "cgroup v2 hold it exactly if it is a multiple of 256."),
    cfg.IntOpt(
        "apply_timeout", default=60, min=1,
        help="Seconds in which the agent of a server's host has to apply a setting."),
]
