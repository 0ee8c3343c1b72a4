# SPDX-License-Identifier: Apache-2.0
"""The runs of the tier, and what is wrong with each: a line for each thing that is not as it has to
be."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tools.bed import progress
from tools.bed.errors import TestbedError
from tools.bed.stack import plain, tempest
from tools.bed.stack.layout import Layout
from tools.tempest import outcomes, selection
from tools.tempest.run import Run

_NOT_FOUND = 404
_PATH_OF_OURS = "/os-qos"
_PLUGIN, _WITH, _WITHOUT = "plugin", "mounted", "plain"


@dataclass(frozen=True)
class Tier:
    """The demo's cloud, and the directory in which each run has its own."""

    layout: Layout
    cloud: Any
    parts: tempest.Parts
    place: Path

    def plugin(self) -> list[str]:
        """Run the plug-in's tests. None may be skipped: this cloud has all they need."""
        return _wrong(self._perform("the plug-in's tests", _PLUGIN, "plugin", "compute"))

    def mounted(self) -> list[str]:
        """Run nova's tests against the demo's API."""
        return _wrong(self._perform("nova's tests with nova-qos", _WITH, "nova", "compute"),
                      selection.expressions("absent"))

    def plain(self) -> list[str]:
        """Run nova's tests against an API without nova-qos, which runs as long."""
        with plain.running(self.layout, self.cloud):
            require_mounts(self.cloud)
            found = self._perform(
                "nova's tests without nova-qos", _WITHOUT, "nova", plain.CATALOG_TYPE)
        return _wrong(found, selection.expressions("absent"))

    def differences(self) -> list[str]:
        """Compare the last two runs of nova's tests, as soon as both have ended."""
        without, with_it = (Run(self.place / name, "nova").kept() for name in (_WITHOUT, _WITH))
        if not without or not with_it:
            missing = "without" if with_it else "with"
            print(f"  not compared: nova's tests did not run {missing} nova-qos yet", flush=True)
            return []
        found = [*outcomes.differences(without, with_it)]
        print(f"  with and without nova-qos: {len(found)} of {len({*without, *with_it})} tests "
              "differ", flush=True)
        return found

    def _perform(
        self, what: str, place: str, name: str, catalog_type: str
    ) -> dict[str, outcomes.Result]:
        found: dict[str, outcomes.Result] = {}
        run = Run(self.place / place, name)

        def perform() -> None:
            found.update(run.perform(tempest.sections(
                self.parts, run.place, catalog_type, catalog_type == "compute")))

        progress.step(what, perform, Path("/dev/null"))
        print(f"  {outcomes.counted(found)}", flush=True)
        for line in outcomes.skips(found):
            print(f"    {line}", flush=True)
        return found


#: By the names that people use.
PARTS: Mapping[str, Callable[[Tier], list[str]]] = {
    "plugin": Tier.plugin, "with": Tier.mounted, "without": Tier.plain}


def require_mounts(cloud: Any) -> None:
    """See that one API has nova-qos and the other has not.

    :raises TestbedError: both have it, or neither
    """
    ours = cloud.compute.get(_PATH_OF_OURS).status_code
    plains = cloud.session.get(f"{plain.URL}{_PATH_OF_OURS}", raise_exc=False).status_code
    if ours == _NOT_FOUND or plains != _NOT_FOUND:
        raise TestbedError(f"GET {_PATH_OF_OURS} is answered {ours} by the demo's API and {plains} "
                           "by the one that is to have no nova-qos")


def _wrong(found: outcomes.Results, reasons: Sequence[str] = ()) -> list[str]:
    return [*outcomes.failures(found), *outcomes.unexplained(found, reasons)]
