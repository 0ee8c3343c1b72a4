# SPDX-License-Identifier: Apache-2.0
"""What tests of all resources ask of a server of the flavor with ``FLAVOR_MIB``: a new resource
has its values here once."""

FLAVOR_MIB = 512
#: The least and the most.
RANGES = {
    "memory": (1, FLAVOR_MIB),
    "memory_soft_limit": (1, 2**40),
    "cpu_priority": (2, 262144),
    "io_priority": (100, 1000),
    "net_priority": (0, 98),
    "memory_guarantee": (1, FLAVOR_MIB),
    "memory_priority": (1, 1000),
    "cpu_limit": (10, 100),
    "cpu_guarantee": (1, 100),
    "io_limit": (10, 1_000_000),
    "io_rate_limit": (1024, 2**30),
    "net_limit": (100, 100_000_000),
    "net_guarantee": (100, 100_000_000),
    "net_in_priority": (0, 98),
    "net_in_limit": (100, 100_000_000),
    "net_in_guarantee": (100, 100_000_000),
}
#: Of nothing, as the host holds it.
UNSET = {"memory": FLAVOR_MIB, "memory_soft_limit": -1, "cpu_priority": 1024, "io_priority": 100,
         "net_priority": -1, "memory_guarantee": -1, "memory_priority": 100, "cpu_limit": -1,
         "cpu_guarantee": -1, "io_limit": -1, "io_rate_limit": -1,
         "net_limit": -1, "net_guarantee": -1,
         "net_in_priority": -1, "net_in_limit": -1, "net_in_guarantee": -1}
SETTINGS = {"memory": 300, "memory_soft_limit": 200, "cpu_priority": 77, "io_priority": 900,
            "net_priority": 20, "memory_guarantee": 150, "memory_priority": 300,
            "cpu_limit": 60, "cpu_guarantee": 20, "io_limit": 700, "io_rate_limit": 8192,
            "net_limit": 20000, "net_guarantee": 5000,
            "net_in_priority": 30, "net_in_limit": 25000, "net_in_guarantee": 4000}
#: Each of them another one.
EARLIER = {"memory": 400, "memory_soft_limit": 300, "cpu_priority": 50, "io_priority": 200,
           "net_priority": 40, "memory_guarantee": 250, "memory_priority": 200,
           "cpu_limit": 90, "cpu_guarantee": 10, "io_limit": 800, "io_rate_limit": 4096,
           "net_limit": 30000, "net_guarantee": 6000,
           "net_in_priority": 50, "net_in_limit": 35000, "net_in_guarantee": 7000}
