# SPDX-License-Identifier: Apache-2.0
"""The report of measurements that were made: ``python -m tools.evaluation.report DIRECTORY``."""

import argparse
import base64
import sys
from collections.abc import Sequence
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from tools.evaluation import outcomes, sections
from tools.evaluation.outcomes import Outcomes
from tools.evaluation.verdict import Section, Verdict

_HERE = Path(__file__).parent
_PAGE, _DOCUMENT, _IMAGES = "report.html", "evaluation.rst", "evaluation"


def main() -> int:
    """Exit status 0 when the report is there."""
    parser = argparse.ArgumentParser(prog="tools.evaluation.report", description=__doc__)
    parser.add_argument("directory", type=Path, help="where the CSV files are")
    parser.add_argument("--write-doc", type=Path, metavar="DOC",
                        help="write the page of the documentation below this directory, too")
    options = parser.parse_args()
    try:
        done = outcomes.load(options.directory)
    except OSError as error:
        print(f"no measurements: {error}", file=sys.stderr)
        return 1
    found = sections.of(options.directory, done)
    page = options.directory / _PAGE
    page.write_text(html(found, done))
    if options.write_doc:
        write_document(found, done, options.write_doc)
    print_verdicts(found)
    print(f"\nreport: {page}")
    return 0


def html(found: Sequence[Section], done: Outcomes) -> str:
    """The page, with everything in it."""
    return _render("report.html.j2", found, done, escape=True)


def write_document(found: Sequence[Section], done: Outcomes, directory: Path) -> None:
    """The page of the documentation, and its pictures beside it."""
    images = directory / _IMAGES
    images.mkdir(parents=True, exist_ok=True)
    for old in images.glob("*.png"):
        old.unlink()
    for section in found:
        for picture in section.pictures:
            (images / f"{picture.name}.png").write_bytes(picture.png)
    (directory / _DOCUMENT).write_text(_render("evaluation.rst.j2", found, done, escape=False))


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


def _render(template: str, found: Sequence[Section], done: Outcomes, escape: bool) -> str:
    environment = Environment(
        loader=FileSystemLoader(_HERE), autoescape=escape, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True)
    environment.filters["base64"] = lambda png: base64.b64encode(png).decode()
    judged = [verdict for section in found for verdict in section.verdicts
              if verdict.met is not None]
    text = environment.get_template(template).render(
        sections=found, outcomes=done, wanted=len(judged),
        met=sum(verdict.met is True for verdict in judged), images=_IMAGES)
    # cells may be empty
    return "".join(f"{line.rstrip()}\n" for line in text.splitlines())


if __name__ == "__main__":
    sys.exit(main())
