# SPDX-License-Identifier: Apache-2.0
"""The whole report, from CSV files to the pages."""

import base64
import re
from pathlib import Path

import pytest
from docutils import nodes
from docutils.core import publish_doctree

from tests.evaluation import world
from tools.evaluation import (
    outcomes,
    pages,
    promises,
    records,
    report,
    sections,
    sections_control,
    timings,
)
from tools.evaluation.verdict import Section

_PNG = b"\x89PNG\r\n"
Made = tuple[list[Section], outcomes.Outcomes]


def make(directory: Path, **ends: dict[str, object]) -> Made:
    world.write_all(directory, **ends)
    done = outcomes.load(directory)
    return sections.of(directory, done), done


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return make(tmp_path_factory.mktemp("whole"))


def test_what_was_recorded_is_read_again(tmp_path: Path) -> None:
    record = world.network_record()
    records.save(record, tmp_path)
    again = records.load(tmp_path)
    assert again.phases == [
        type(each)(each.name, each.typed_s, each.asked_s, each.until_s, pytest.approx(each.due))
        for each in record.phases]
    assert again.exchanges == record.exchanges
    assert again.tables["uplink"].columns["VM2.sent_mbit"] == pytest.approx(
        record.tables["uplink"].columns["VM2.sent_mbit"], abs=1e-5)


def test_what_was_timed_is_read_again(tmp_path: Path) -> None:
    timings.save_answered(world.answered(503), tmp_path)
    timings.save_changes(world.changes(), tmp_path)
    assert timings.load_answered(tmp_path) == world.answered(503)
    assert timings.load_changes(tmp_path) == world.changes()
    promises.save(world.promised(), tmp_path)
    assert promises.load(tmp_path) == world.promised()


def test_page_has_every_section_and_picture(made: Made) -> None:
    found, done = made
    page = pages.html(found, done)
    assert len(found) == 20
    for section in found:
        assert section.pictures, section.name
        assert f'id="{section.name}"' in page
    pictures = re.findall(r'src="data:image/png;base64,([^"]+)"', page)
    assert len(pictures) == sum(len(section.pictures) for section in found)
    assert all(base64.b64decode(each).startswith(_PNG) for each in pictures)
    assert "with seed 7" in page
    assert "34.0.0" in page
    assert 'src="http' not in page


def test_same_figures_give_the_same_page(made: Made, tmp_path: Path) -> None:
    assert pages.html(*made) == pages.html(*make(tmp_path))


def test_experiments_that_are_absent_are_told_of(tmp_path: Path) -> None:
    found, done = make(
        tmp_path, disk={"seconds": 1, "left_out": "no <cgroup v1>"},
        load={"seconds": 2, "failed": "it broke"})
    page = pages.html(found, done)
    assert "left out: no &lt;cgroup v1&gt;" in page
    assert "it failed: it broke" in page
    absent = {section.name for section in found if section.absent}
    assert absent == {"disk-jobs", "disk-change", "api-load"}


@pytest.mark.parametrize(("name", "title", "heads"), [
    ("evaluation", "CPU shares, figure 5.5", ["what", "ours", "thesis", "target"]),
    ("evaluation-control", "CPU limits", ["what", "measured", "target"])])
def test_document_is_good_text_with_its_pictures(
    made: Made, tmp_path: Path, name: str, title: str, heads: list[str]
) -> None:
    found, done = made
    directory = tmp_path / "doc"
    pages.write_document(found, done, directory)
    # the other page is told of by a role of Sphinx, which docutils alone does not know
    text = re.sub(r":doc:`[^`]+`", "the other", (directory / f"{name}.rst").read_text())
    tree = publish_doctree(text, settings_overrides={"report_level": 2, "halt_level": 2})
    uris = {image["uri"] for image in tree.findall(nodes.image)}
    assert uris == {f"{name}/{path.name}" for path in (directory / name).iterdir()}
    titles = {each.astext() for each in tree.findall(nodes.title)}
    assert {title, "Made with"} <= titles
    row = next(iter(tree.findall(nodes.row)))
    assert [entry.astext() for entry in row.findall(nodes.entry)] == [*heads, ""]


def test_page_of_which_nothing_was_measured_stays(tmp_path: Path) -> None:
    ends = {name: {"seconds": 1, "failed": "it broke"}
            for name, *_ in (*sections_control.PLAN, sections_control.MANY)}
    found, done = make(tmp_path / "made", **ends)
    directory = tmp_path / "doc"
    directory.mkdir()
    (directory / "evaluation-control.rst").write_text("earlier")
    pages.write_document(found, done, directory)
    assert (directory / "evaluation.rst").read_text().startswith("Evaluation\n")
    assert (directory / "evaluation-control.rst").read_text() == "earlier"


def test_header_of_the_script_names_every_experiment() -> None:
    script = Path(__file__).parents[2] / "tools/evaluate.sh"
    listed = re.search(r"several times:\n((?:# {15,}.*\n)+)", script.read_text())
    assert listed is not None
    assert set(re.findall(r"[a-z-]+", listed[1])) == set(outcomes.EXPERIMENTS)


def test_every_experiment_has_a_section() -> None:
    assert {experiment for experiment, *_ in sections.PLAN} == set(outcomes.EXPERIMENTS)


def test_terminal(made: Made, capsys: pytest.CaptureFixture[str]) -> None:
    found, _ = made
    report.print_verdicts(found)
    said = capsys.readouterr().out
    assert "met    accuracy of the split" in said
    assert "thesis: 5 to 10 s" in said
