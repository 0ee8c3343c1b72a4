# SPDX-License-Identifier: Apache-2.0
"""The report of measurements that were made: ``python -m tools.evaluation.report DIRECTORY``."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from tools.evaluation import outcomes, pages, sections
from tools.evaluation.verdict import Section, Verdict

_PAGE = "report.html"


def main() -> int:
    """Exit status 0 when the report is there."""
    parser = argparse.ArgumentParser(prog="tools.evaluation.report", description=__doc__)
    parser.add_argument("directory", type=Path, help="where the CSV files are")
    parser.add_argument("--write-doc", type=Path, metavar="DOC",
                        help="write the pages of the documentation below this directory, too")
    options = parser.parse_args()
    try:
        done = outcomes.load(options.directory)
    except OSError as error:
        print(f"no measurements: {error}", file=sys.stderr)
        return 1
    found = sections.of(options.directory, done)
    page = options.directory / _PAGE
    page.write_text(pages.html(found, done))
    if options.write_doc:
        pages.write_document(found, done, options.write_doc)
    print_verdicts(found)
    print(f"\nreport: {page}")
    return 0


def print_verdicts(found: Sequence[Section]) -> None:
    """What was found, for the terminal."""
    for section in found:
        print(f"\n{section.title}" + (f": {section.absent}" if section.absent else ""))
        for verdict in section.verdicts:
            print(f"  {_sign(verdict):<6} {verdict.what}: {verdict.ours_written}"
                  + (f" ({verdict.target_written})" if verdict.target_written else "")
                  + (f"; thesis: {verdict.thesis}" if verdict.thesis else ""))
            if verdict.missed_by:
                print(f"         missed {verdict.missed_by}")


def _sign(verdict: Verdict) -> str:
    return {True: "met", False: "MISSED", None: ""}[verdict.met]


if __name__ == "__main__":
    sys.exit(main())
