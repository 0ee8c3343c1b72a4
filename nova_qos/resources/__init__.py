# SPDX-License-Identifier: Apache-2.0
"""THE TABLE: one row a resource, a file a family, every public name as a literal.

API actions, body schemas, access rules, commands and their tests are derived from ``TABLE``.
What would need an ``if resource is ...`` elsewhere is plain code beside the table.
"""

from collections.abc import Mapping

from nova_qos.core.resource import Resource
from nova_qos.resources import cpu, disk, memory, network
from nova_qos.resources.memory import MEMORY
from nova_qos.resources.network import NET_PRIORITY

#: Those that come first in tables and lists and are always shown; agents and APIs with a wire
#: before 1.3 know no others.
FIRST = ("memory", "memory_soft_limit", "cpu_priority", "io_priority", "net_priority")
_BY_FAMILY = (*memory.ROWS, *cpu.ROWS, *disk.ROWS, *network.ROWS)
#: In the order of lists and of what programs read: the first ones, then the others by family.
TABLE: Mapping[str, Resource] = {
    row.name: row for row in sorted(_BY_FAMILY, key=lambda row: row.name not in FIRST)}
#: The names in the order in which one server is shown to people: those of each family together.
BY_FAMILY = tuple(row.name for row in _BY_FAMILY)

GET_ALL = "get-qos"
SET_ALL = "set-qos"
BALLOON = "balloon-driver-enabled"
BALLOON_COMMAND = "ballooning-enabled"
NET_PRIORITIES_COMMAND = "tc-get-net-priorities"
LIST_PATH = "/os-qos"
LIST_RULE = "os_compute_api:os-qos:list"
LIST_HOST_RULE = "os_compute_api:os-qos:list:host"
HOSTS_PATH = "/os-qos/hosts"
HOSTS_RULE = "os_compute_api:os-qos:hosts"
POLICIES_PATH = "/os-qos-policies"
ASSIGN_RULE = "os_compute_api:os-qos:policies:assign"

__all__ = [
    "ASSIGN_RULE", "BALLOON", "BALLOON_COMMAND", "BY_FAMILY", "FIRST", "GET_ALL", "HOSTS_PATH",
    "HOSTS_RULE", "LIST_HOST_RULE", "LIST_PATH", "LIST_RULE", "MEMORY", "NET_PRIORITIES_COMMAND",
    "NET_PRIORITY", "POLICIES_PATH", "SET_ALL", "TABLE",
]
