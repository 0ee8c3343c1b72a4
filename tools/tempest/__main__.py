# SPDX-License-Identifier: Apache-2.0
"""``python -m tools.tempest DIRECTORY [PART]...`` runs Tempest against the demo's cloud, in its
environment. Without parts, all run, in this order:

* ``plugin``: the tests of our plug-in.
* ``with``: nova's tests, against the demo's API.
* ``without``: nova's tests, against a second API that has no nova-qos.

None may fail, and none of nova's may be skipped but for a reason in ``absent.txt``. As soon as both
of nova's runs have ended, now or in an earlier call with this directory, every test has to have the
same outcome in both.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

from tools.bed.errors import TestbedError
from tools.bed.stack import leftovers, tempest, tenants
from tools.bed.stack.layout import Layout
from tools.tempest.leftovers import removed
from tools.tempest.tier import PARTS, Tier


def main() -> int:
    """Exit status 0 when all is as it has to be; what is not is printed."""
    place, names = Path(sys.argv[1]).absolute(), parts_of(sys.argv[2:])
    layout = Layout.of_environment()
    leftovers.mark(layout)
    cloud = tenants.connect("admin", "admin")
    for line in removed(cloud):
        print(f"  {line}", flush=True)
    number = 0
    try:
        with tempest.parts(cloud) as parts:
            tier = Tier(layout, cloud, parts, place)
            for name in names:
                number += told(PARTS[name](tier))
            number += told(tier.differences())
    except TestbedError as error:
        number += told([str(error)])
    number += told([*removed(cloud)])
    print(f"what the tests said: {place}")
    return 1 if number else 0


def parts_of(words: Sequence[str]) -> list[str]:
    """The parts that the words name, in their order; without words, all."""
    if unknown := [each for each in words if each not in PARTS]:
        sys.exit(f"there is no part {', '.join(unknown)}; there are: {', '.join(PARTS)}")
    return [*words] or [*PARTS]


def told(lines: Sequence[str]) -> int:
    """Print what is not as it has to be, and count it."""
    for line in lines:
        print(f"  {line}", flush=True)
    return len(lines)


if __name__ == "__main__":
    sys.exit(main())
