# SPDX-License-Identifier: Apache-2.0
"""The scales of cgroup v1, cgroup v2 and systemd for one and the same weight."""

#: What a control group has that nobody touched (cgroup v1 ``cpu.shares``).
DEFAULT_CPU_SHARES = 1024
LEAST_CPU_SHARES, MOST_CPU_SHARES = 2, 262144
#: What a control group of cgroup v2 can have (``cpu.weight``); 100 is what nobody touched.
DEFAULT_CPU_WEIGHT = 100
LEAST_CPU_WEIGHT, MOST_CPU_WEIGHT = 1, 10000
#: Of systemd's IOWeight, 100..10000 are spread over 100..1000 of BFQ's own.
_IO_PER_BFQ = 11


def cpu_weight(shares: int) -> int:
    """The ``cpu.weight`` that gives the same part as these ``cpu.shares``, as near as it can."""
    weight = (shares * DEFAULT_CPU_WEIGHT + DEFAULT_CPU_SHARES // 2) // DEFAULT_CPU_SHARES
    return min(max(weight, LEAST_CPU_WEIGHT), MOST_CPU_WEIGHT)


def cpu_shares(weight: int) -> int:
    """The shares that a ``cpu.weight`` stands for."""
    return (weight * DEFAULT_CPU_SHARES + DEFAULT_CPU_WEIGHT // 2) // DEFAULT_CPU_WEIGHT


def cpu_shares_span(weight: int) -> tuple[int, int]:
    """The least and the most of the shares that give this ``cpu.weight``, 1..10000."""
    least = LEAST_CPU_SHARES if weight <= LEAST_CPU_WEIGHT else _first_shares(weight)
    most = MOST_CPU_SHARES if weight >= MOST_CPU_WEIGHT else _first_shares(weight + 1) - 1
    return least, most


def cpu_shares_alike(shares: int) -> tuple[int, int]:
    """The least and the most of the shares that a host may hold as ``shares``: the span of the
    weight of cgroup v2 that stands for them; where no weight does, only they themselves."""
    weight = cpu_weight(shares)
    return cpu_shares_span(weight) if cpu_shares(weight) == shares else (shares, shares)


def _first_shares(weight: int) -> int:
    half = DEFAULT_CPU_SHARES // 2
    return -(-(weight * DEFAULT_CPU_SHARES - half) // DEFAULT_CPU_WEIGHT)


def systemd_io_weight(bfq_weight: int) -> int:
    """The IOWeight of systemd that reaches ``io.bfq.weight``, 1..1000, as this value."""
    return bfq_weight if bfq_weight <= 100 else 100 + (bfq_weight - 100) * _IO_PER_BFQ
