# SPDX-License-Identifier: Apache-2.0
"""``python -m tools.tempest DIRECTORY`` runs Tempest against the demo's cloud, in its environment.

Nova's tests run twice, against an API without nova-qos and against the demo's. Every test has to
have the same outcome, none may fail, and none may be skipped but for a reason in ``absent.txt``.
Then those of our plug-in run.
"""

import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from tools.bed import progress
from tools.bed.errors import TestbedError
from tools.bed.stack import leftovers, plain, tempest, tenants
from tools.bed.stack.layout import Layout
from tools.tempest import outcomes, selection
from tools.tempest.leftovers import removed
from tools.tempest.run import Run

_NOT_FOUND = 404
_PATH_OF_OURS = "/os-qos"


def main() -> int:
    """Exit status 0 when all is as it has to be; what is not is printed."""
    layout, place = Layout.of_environment(), Path(sys.argv[1]).absolute()
    leftovers.mark(layout)
    cloud = tenants.connect("admin", "admin")
    try:
        with tempest.parts(cloud) as parts:
            wrong = [*compared(layout, cloud, parts, place), *own(parts, place)]
    except TestbedError as error:
        wrong = [str(error)]
    wrong += removed(cloud)
    for line in wrong:
        print(f"  {line}", flush=True)
    print(f"what the tests said: {place}")
    return 1 if wrong else 0


def compared(
    layout: Layout, cloud: Any, parts: tempest.Parts, place: Path
) -> Iterable[str]:
    """Run nova's tests on both APIs; a line for each that failed or differs."""
    with plain.running(layout, cloud):
        require_mounts(cloud)
        without = _tests("nova's tests without nova-qos", place / "plain", "nova",
                         tempest.sections(parts, place / "plain", plain.CATALOG_TYPE, False))
    with_it = _tests("nova's tests with nova-qos", place / "mounted", "nova",
                     tempest.sections(parts, place / "mounted", "compute", True))
    absent = selection.expressions("absent")
    return [*_wrong(without, absent), *_wrong(with_it, absent),
            *outcomes.differences(without, with_it)]


def own(parts: tempest.Parts, place: Path) -> Iterable[str]:
    """Run the plug-in's tests; a line for each that did not pass: this cloud has all they need."""
    found = _tests("the plug-in's tests", place / "plugin", "plugin", tempest.sections(
        parts, place / "plugin", "compute", True))
    return _wrong(found)


def _wrong(found: outcomes.Results, reasons: Sequence[str] = ()) -> list[str]:
    return [*outcomes.failures(found), *outcomes.unexplained(found, reasons)]


def require_mounts(cloud: Any) -> None:
    """See that one API has nova-qos and the other has not.

    :raises TestbedError: both have it, or neither
    """
    ours = cloud.compute.get(_PATH_OF_OURS).status_code
    plains = cloud.session.get(f"{plain.URL}{_PATH_OF_OURS}", raise_exc=False).status_code
    if ours == _NOT_FOUND or plains != _NOT_FOUND:
        raise TestbedError(f"GET {_PATH_OF_OURS} is answered {ours} by the demo's API and {plains} "
                           "by the one that is to have no nova-qos")


def _tests(what: str, place: Path, name: str, sections: Any) -> dict[str, outcomes.Result]:
    found: dict[str, outcomes.Result] = {}

    def perform() -> None:
        found.update(Run(place, name).perform(sections))

    progress.step(what, perform, Path("/dev/null"))
    print(f"  {outcomes.counted(found)}", flush=True)
    for line in outcomes.skips(found):
        print(f"    {line}", flush=True)
    return found


if __name__ == "__main__":
    sys.exit(main())
