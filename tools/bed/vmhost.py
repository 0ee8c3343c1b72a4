# SPDX-License-Identifier: Apache-2.0
"""Run tests in a virtual test host: ``python -m tools.bed.vmhost [OPTION]... TEST...``

With --keep the machine goes on running afterwards, and the next run uses it with the present tree.
With --run, what follows is a command for the machine's shell instead of tests. Its Debian is this
machine's, or the release that NOVA_QOS_VMHOST_RELEASE names: bookworm or trixie.
"""

import argparse
import os
import signal
import sys
import tempfile
from pathlib import Path

from . import payload, release
from .debian import DebianImage
from .errors import TestbedError
from .guest import GuestImages
from .machine import Machine, booted

_REPOSITORY = Path(__file__).parents[2]
#: Shared by all checkouts of this machine; each recipe has its own names below.
CACHE, GUESTS = Path("/var/tmp/nova-qos-machines"), Path("/var/tmp/nova-qos-images")
#: What of the source tree goes into the machine, and where it lies there.
PARTS = (
    "nova_qos", "novaclient_qos", "hooks", "etc", "tests", "tools", "pyproject.toml", "setup.cfg")
TREE = "/srv/nova-qos"
# Debian 13 has /tmp in memory, where no swap file can be
_SETTINGS = (f"PYTHONPATH={TREE}:{TREE}/hooks", "PYTHONDONTWRITEBYTECODE=1",
             f"NOVA_QOS_IMAGES={payload.IMAGES}", "TMPDIR=/var/tmp")
#: What this machine's environment says of the tests to be run.
_PASSED_ON = (
    "NOVA_QOS_TEST_SIZE", "NOVA_QOS_SOAK_S", "NOVA_QOS_SOAK_SEED", "NOVA_QOS_RECORD")
_TIMEOUT_S = 2700
#: As tools/test.sh makes the environment of the tests, and what tells whether it is still the same.
_WORDS = ("-r", "test-requirements.txt", ".[api,agent]", "./hooks")
_FILES = ("requirements.txt", "test-requirements.txt", "setup.cfg", "hooks/pyproject.toml")


def main() -> int:
    """Exit status 0 when all tests passed."""
    parser = argparse.ArgumentParser(prog="tools.bed.vmhost", description=__doc__)
    parser.add_argument("--keep", action="store_true", help="leave the machine running")
    parser.add_argument("--run", action="store_true", help="run a command instead of tests")
    parser.add_argument("--state", type=Path, help="the machine's directory, when it is kept")
    parser.add_argument("rest", nargs=argparse.REMAINDER, metavar="TEST")
    options = parser.parse_args()
    name = os.environ.get("NOVA_QOS_VMHOST_RELEASE") or release.own()
    signal.signal(signal.SIGTERM, _end)
    try:
        if options.keep or options.state:
            machine = _machine(name, options.state or CACHE / f"kept-{name}")
            machine.start()
            return _work(machine, options.run, options.rest)
        with tempfile.TemporaryDirectory(prefix="nova-qos-vm-", dir="/var/tmp") as state, \
                booted(_machine(name, Path(state))) as machine:
            return _work(machine, options.run, options.rest)
    except TestbedError as error:
        print(f"FAILED: {error}", file=sys.stderr)
        return 2


def _end(*_signal: object) -> None:
    """Leave the machine as at any other end."""
    sys.exit(143)


def _machine(name: str, state: Path) -> Machine:
    disk = state / "payload.raw"
    machine = Machine(DebianImage.build(CACHE, name), "vmhost", state, payload=disk)
    if not machine.is_running():
        payload.make(disk, _environment(name), GuestImages.build(GUESTS))
    return machine


def _environment(name: str) -> Path:
    """The present one; where its Python is not the machine's, another with the same packages."""
    if name == release.own():
        return Path(sys.prefix)
    return release.environment(name, CACHE, _REPOSITORY, _WORDS, _FILES)


def _work(machine: Machine, is_command: bool, words: list[str]) -> int:
    machine.send(_REPOSITORY, PARTS, TREE)
    inside = ["env", "-C", TREE, *_SETTINGS,
              *(f"{name}={os.environ[name]}" for name in _PASSED_ON if name in os.environ)]
    if not is_command:
        inside += [payload.PYTHON, "-m", "pytest", "-p", "no:cacheprovider"]
    return machine.stream(*inside, *words, timeout_s=_TIMEOUT_S)


if __name__ == "__main__":
    sys.exit(main())
