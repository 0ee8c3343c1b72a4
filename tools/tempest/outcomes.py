# SPDX-License-Identifier: Apache-2.0
"""What a run of Tempest came to: read from its stream, told in lines, and compared."""

import re
import textwrap
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO

import subunit
import testtools

PASSED, SKIPPED, FAILED = "passed", "skipped", "failed"
_OUTCOME = {"success": PASSED, "skip": SKIPPED}
_REASON_LENGTH = 100
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
    """The tests of a subunit stream by name. One that did not end has failed; those of a class that
    was skipped or could not be set up have the class's outcome."""
    found: dict[str, Result] = {}
    announced: set[str] = set()

    def take(test: Mapping[str, Any]) -> None:
        name, status = name_of(test["id"]), test["status"]
        if status == "exists":
            announced.add(name)
        else:
            outcome = _OUTCOME.get(status, FAILED)
            found[name] = Result(outcome, _why(outcome, test["details"]))

    taken = testtools.StreamToDict(take)
    taken.startTestRun()
    subunit.ByteStreamToStreamResult(stream, non_subunit_name="output").run(taken)
    taken.stopTestRun()
    return _with_those_of_classes(found, announced - found.keys())


def class_of(name: str) -> str:
    """The class of a test."""
    return name.rpartition(".")[0]


def _with_those_of_classes(found: Results, absent: Collection[str]) -> dict[str, Result]:
    """Give what did not run by itself the outcome of its class, which then needs no own entry."""
    classes = {class_of(name) for name in absent}
    told = {name: result for name, result in found.items() if name not in classes}
    missing = {name: found.get(class_of(name), Result(FAILED, "it did not run"))
               for name in absent}
    return {**told, **missing}


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
    reasons = Counter(_short(test.why) for test in tests.values() if test.outcome == SKIPPED)
    for reason, number in sorted(reasons.items()):
        yield f"skipped {number}: {reason}"


def unexplained(tests: Results, reasons: Collection[str]) -> Iterator[str]:
    """A line for each test that was skipped for a reason that none of these expressions matches."""
    for name, test in sorted(tests.items()):
        if test.outcome == SKIPPED and not any(re.search(each, test.why) for each in reasons):
            yield f"skipped: {name}: {_short(test.why)}"


def _short(reason: str) -> str:
    # one of Tempest's reasons has whole networks in it
    return textwrap.shorten(reason, _REASON_LENGTH)


def failures(tests: Results) -> Iterator[str]:
    """A line for each test that failed, or for all of a class that failed for the same reason."""
    alike: dict[tuple[str, str], list[str]] = {}
    for name, test in sorted(tests.items()):
        if test.outcome == FAILED:
            alike.setdefault((class_of(name), test.why), []).append(name)
    for (of_class, why), names in alike.items():
        which = names[0] if len(names) == 1 else f"{len(names)} of {of_class}"
        yield f"failed: {which}: {why}"


def differences(without: Results, with_it: Results) -> Iterator[str]:
    """A line for each test with another outcome, or none, on one of the two APIs."""
    for name in sorted({*without, *with_it}):
        first, second = (tests[name].outcome if name in tests else "not run"
                         for tests in (without, with_it))
        if first != second:
            yield f"differs: {name}: {first} without nova-qos, {second} with it"
