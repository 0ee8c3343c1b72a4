# SPDX-License-Identifier: Apache-2.0
"""The figures of the rule's prototype on the made traces, as they were published with the model."""

from tools.bed.balance.model.simulator import Figures

PROTOTYPE = {
    "burster": Figures(0, 0, 0, 0, 10, 0.00, 0),
    "herd": Figures(0, 25, 0, 0, 8, 1.92, 2),
    "leak": Figures(0, 0, 0, 0, 12, 0.00, 0),
    "arc": Figures(0, 9, 0, 0, 14, 0.41, 1),
    "sawtooth": Figures(0, 12, 132, 0, 653, 0.79, 2),
    "platinum": Figures(0, 147, 4458, 0, 14, 33.20, 93),
    "stale": Figures(0, 6, 0, 0, 21, 0.47, 1),
    "hostload": Figures(0, 5, 0, 0, 12, 0.41, 1),
}
#: The mean stall of the prototype over these traces with one assumption of the model changed,
#: then its seconds of host swap and its server-seconds below the guarantee.
PROTOTYPE_VARIANTS = {
    "as it is": (4.7, 0, 0),
    "no free page reporting": (4.7, 0, 0),
    "no swap in guests": (8.7, 2142, 0),
    "host swap 4 x faster": (4.7, 0, 0),
    "host swap 3 x slower": (4.7, 0, 0),
    "guest swap 4 x faster": (2.5, 0, 0),
    "balloons 3 x slower": (4.6, 28, 0),
    "hot set touched each 10 s": (6.4, 0, 0),
    "LRU of guests errs in 35 %": (5.1, 0, 0),
    "no cache miss is a major fault": (4.5, 12, 0),
}
