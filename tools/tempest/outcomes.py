# SPDX-License-Identifier: Apache-2.0
"""What a run of Tempest came to: read from its stream, told in lines, and compared."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO

import subunit
import testtools

PASSED, SKIPPED, FAILED = "passed", "skipped", "failed"
_OUTCOME = {"success": PASSED, "skip": SKIPPED}
# what a set-up of a class that fails is called
_CLASS = re.compile(r"^(setUpClass|tearDownClass) \((?P<name>.*)\)$")


@dataclass(frozen=True)
class Result:
    """Of one test, or of a class that was skipped or could not be set up as a whole; ``why`` says
    what was missing or wrong."""

    outcome: str
    why: str = ""


Results = Mapping[str, Result]


def read(stream: BinaryIO) -> dict[str, Result]:
    """The tests of a subunit stream by name. A test that did not end has failed."""
    found: dict[str, Result] = {}

    def take(test: Mapping[str, Any]) -> None:
        outcome = _OUTCOME.get(test["status"], FAILED)
        found[name_of(test["id"])] = Result(outcome, _why(outcome, test["details"]))

    taken = testtools.StreamToDict(take)
    taken.startTestRun()
    subunit.ByteStreamToStreamResult(stream, non_subunit_name="output").run(taken)
    taken.stopTestRun()
    return found


def name_of(test_id: str) -> str:
    """A test's name without its tags; a class that could not be set up has its own."""
    of_class = _CLASS.match(test_id)
    return of_class["name"] if of_class else test_id.partition("[")[0]


def _why(outcome: str, details: Mapping[str, Any]) -> str:
    if outcome == PASSED:
        return ""
    texts = {name: content.as_text().strip() for name, content in details.items()
             if content.content_type.type == "text"}
    told = texts.get("reason") if outcome == SKIPPED else texts.get("traceback")
    return (told or "no reason given").splitlines()[-1]


def counted(tests: Results) -> str:
    """How many had which outcome."""
    counts = Counter(test.outcome for test in tests.values())
    return (f"{len(tests)} tests: {counts[PASSED]} passed, {counts[SKIPPED]} skipped, "
            f"{counts[FAILED]} failed")


def skips(tests: Results) -> Iterator[str]:
    """A line for each reason why tests were skipped."""
    reasons = Counter(test.why for test in tests.values() if test.outcome == SKIPPED)
    for reason, number in sorted(reasons.items()):
        yield f"skipped {number}: {reason}"


def failures(tests: Results) -> Iterator[str]:
    """A line for each test that failed."""
    for name, test in sorted(tests.items()):
        if test.outcome == FAILED:
            yield f"failed: {name}: {test.why}"


def differences(without: Results, with_it: Results) -> Iterator[str]:
    """A line for each test with another outcome, or none, on one of the two APIs."""
    for name in sorted({*without, *with_it}):
        first, second = (tests[name].outcome if name in tests else "not run"
                         for tests in (without, with_it))
        if first != second:
            yield f"differs: {name}: {first} without nova-qos, {second} with it"
