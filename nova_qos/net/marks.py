# SPDX-License-Identifier: Apache-2.0
"""The bits of a packet's mark that carry the number of its class.

Other programs use the other bits, so ours are set and matched through a mask alone.
"""

import functools
from dataclasses import dataclass

from nova_qos.net.layout import WITH_PRIORITY, WITHOUT_PRIORITY

_ALL_BITS = 0xFFFFFFFF
# neutron's routers mark with 1 and 2, others with a single low bit of a small mask
_FIRST = 16


@dataclass(frozen=True)
class Marks:
    """The marks within ``mask``, one for each class of a server.

    The number of a class is doubled, and the lowest bit tells a server without a priority, so that
    few bits hold both kinds. It is then spread over the bits of the mask.
    """

    mask: int

    def __post_init__(self) -> None:
        if not 0 < self.mask <= _ALL_BITS or not 8 <= self.mask.bit_count() <= 16:
            raise ValueError(f"{self.mask:#x} does not have 8 to 16 of the 32 bits of a mark")

    @property
    def others(self) -> int:
        """The bits that are not ours."""
        return _ALL_BITS & ~self.mask

    @property
    def with_priority(self) -> range:
        """The classes of servers with a priority that have a mark."""
        return WITH_PRIORITY[:self._each]

    @property
    def without_priority(self) -> range:
        """The classes of servers without a priority that have a mark."""
        return WITHOUT_PRIORITY[:self._each]

    @property
    def local(self) -> int:
        """The mark of what a server of this host sends, where it has no class; below those of all
        classes."""
        return _spread(_FIRST - 1, self.mask)

    def of(self, minor: int) -> int:
        """The mark of a class of a server."""
        without = minor in WITHOUT_PRIORITY
        first = (WITHOUT_PRIORITY if without else WITH_PRIORITY)[0]
        return _spread(_FIRST + 2 * (minor - first) + without, self.mask)

    def minor(self, mark: int) -> int | None:
        """The class that a mark stands for; None when it is no mark of ours."""
        half, without = divmod(_gathered(mark, self.mask) - _FIRST, 2)
        numbers = self.without_priority if without else self.with_priority
        return numbers[half] if not mark & self.others and 0 <= half < len(numbers) else None

    @property
    def _each(self) -> int:
        return ((1 << self.mask.bit_count()) - _FIRST) // 2


def _bits(mask: int) -> list[int]:
    return [bit for bit in range(mask.bit_length()) if mask >> bit & 1]


# thousands at most, each for every server of the host at every change
@functools.cache
def _spread(number: int, mask: int) -> int:
    return sum((number >> place & 1) << bit for place, bit in enumerate(_bits(mask)))


def _gathered(mark: int, mask: int) -> int:
    return sum((mark >> bit & 1) << place for place, bit in enumerate(_bits(mask)))
