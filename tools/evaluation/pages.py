# SPDX-License-Identifier: Apache-2.0
"""The page with everything in it, and the two of the documentation."""

import base64
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from tools.evaluation import sections_control
from tools.evaluation.outcomes import Outcomes
from tools.evaluation.verdict import Section

_HERE = Path(__file__).parent
_TEMPLATE = "evaluation.rst.j2"
#: What the thesis did not have.
_CONTROL = {name for _, name, *_ in (*sections_control.PLAN, sections_control.MANY)}


@dataclass(frozen=True)
class _Page:
    """``name``: of its file and of the directory of its pictures; ``lead``: its first sentences."""

    name: str
    title: str
    lead: str


_OF_THE_THESIS = _Page("evaluation", "Evaluation", """\
This page repeats the evaluation of the thesis that nova-qos grew out of (chapter 5 of Andreas
Gruhler, *Investigation of Resource Reallocation Capabilities of KVM and OpenStack*, University of
Zurich, 2015); :doc:`evaluation-control` has what the thesis did not have.""")
_OF_THE_REST = _Page("evaluation-control", "Evaluation of limits, guarantees and balancing", """\
This page has what the thesis did not have that :doc:`evaluation` repeats: limits, guarantees,
inbound traffic, policies, balancing and many clients.""")


def html(found: Sequence[Section], done: Outcomes) -> str:
    """The page, with everything in it."""
    return _render("report.html.j2", found, done, escape=True)


def write_document(found: Sequence[Section], done: Outcomes, directory: Path) -> None:
    """The pages of the documentation, each with its pictures beside it. One of which nothing was
    measured stays as it is."""
    for page, own in _divided(found):
        if all(section.absent for section in own):
            continue
        images = directory / page.name
        images.mkdir(parents=True, exist_ok=True)
        for old in images.glob("*.png"):
            old.unlink()
        for section in own:
            for picture in section.pictures:
                (images / f"{picture.name}.png").write_bytes(picture.png)
        (directory / f"{page.name}.rst").write_text(_render(
            _TEMPLATE, own, done, escape=False, page=page,
            thesis=any(verdict.thesis for section in own for verdict in section.verdicts)))


def _divided(found: Sequence[Section]) -> Iterator[tuple[_Page, list[Section]]]:
    for page, is_control in (_OF_THE_THESIS, False), (_OF_THE_REST, True):
        yield page, [each for each in found if (each.name in _CONTROL) is is_control]


def _render(
    template: str, found: Sequence[Section], done: Outcomes, escape: bool, **more: object
) -> str:
    environment = Environment(
        loader=FileSystemLoader(_HERE), autoescape=escape, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True)
    environment.filters["base64"] = lambda png: base64.b64encode(png).decode()
    judged = [verdict for section in found for verdict in section.verdicts
              if verdict.met is not None]
    text = environment.get_template(template).render(
        sections=found, outcomes=done, wanted=len(judged),
        met=sum(verdict.met is True for verdict in judged), **more)
    # cells may be empty
    return "".join(f"{line.rstrip()}\n" for line in text.splitlines())
