# SPDX-License-Identifier: Apache-2.0
"""Values that scale with a server's flavor, such as "75%" of its memory."""

import re
from collections.abc import Callable
from dataclasses import dataclass

from nova_qos.core.server import Flavor


@dataclass(frozen=True)
class Relative:
    """One form of such values: a whole number of ``least`` to ``most``, and ``ending``.

    ``of(number, flavor)`` is the value for a server, in the API's unit, rounded down; ``words`` say
    the form and its range.
    """

    ending: str
    least: int
    most: int
    of: Callable[[int, Flavor], int]
    words: str

    def read(self, text: str) -> str | None:
        """The value as it is saved; None where the text is none of this form."""
        number = self.number(text)
        return None if number is None else f"{number}{self.ending}"

    def value(self, text: str, flavor: Flavor) -> int | None:
        """The value for a server of this flavor; None where the text is none of this form."""
        number = self.number(text)
        return None if number is None else self.of(number, flavor)

    def number(self, text: str) -> int | None:
        """The number in front; None where the text is none of this form."""
        found = re.fullmatch(rf"(\d{{1,9}}){re.escape(self.ending)}", text, re.ASCII)
        number = int(found[1]) if found else 0
        return number if found and self.least <= number <= self.most else None


MEMORY = Relative("%", 1, 100, lambda number, flavor: flavor.memory_mib * number // 100,
                  'a part of the flavor\'s memory, "1%" to "100%"')
CPU_PER_VCPU = Relative("%/vcpu", 1, 100, lambda number, flavor: flavor.vcpus * number,
                        'so much for each vCPU, "1%/vcpu" to "100%/vcpu"')
SHARES_PER_VCPU = Relative("/vcpu", 2, 262144, lambda number, flavor: flavor.vcpus * number,
                           'so much for each vCPU, such as "512/vcpu"')
