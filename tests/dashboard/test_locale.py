# SPDX-License-Identifier: Apache-2.0
"""The message catalogues, and pages in another language."""

import typing
from pathlib import Path

import pytest
from babel.messages.pofile import read_po

from nova_qos.client_hosts import Agent, State
from nova_qos.dry_run.forecast import DIVISIONS
from nova_qos.resources import TABLE
from tests.dashboard.double import Double
from tests.dashboard.inside import HOST, Browser, text
from tools import messages

LANGUAGES = sorted(messages.LOCALE.glob("*/LC_MESSAGES/django.po"))


def catalog(path: Path) -> typing.Any:
    with path.open("rb") as content:
        return read_po(content)


def test_the_template_has_the_sentences_of_this_panel(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # extracting changes the directory of the process
    monkeypatch.chdir(tmp_path)
    messages.extract(tmp_path / "django.pot")
    found, kept = ({(each.id, tuple(each.locations)) for each in catalog(path) if each.id}
                   for path in (tmp_path / "django.pot", messages.TEMPLATE))
    assert found == kept, "python tools/messages.py brings them up to date"


@pytest.mark.parametrize("path", LANGUAGES, ids=lambda path: path.parts[-3])
def test_a_language_is_complete(path: Path) -> None:
    known = catalog(path)
    assert {each.id for each in known} == {each.id for each in catalog(messages.TEMPLATE)}
    for each in known:
        assert not each.fuzzy or not each.id
        assert all([each.string] if isinstance(each.string, str) else each.string), each.id
    # each placeholder of a sentence is in its translation, too
    assert list(known.check()) == []


def test_the_words_of_resources_and_hosts_are_in_it(browse: object) -> None:
    from nova_qos_dashboard.policies.forms import range_of
    from nova_qos_dashboard.terms import WORDS
    shown = {word for row in TABLE.values()
             for word in (row.title, row.unit.name, row.none_word, range_of(row))}
    shown |= {row.relative.words for row in TABLE.values() if row.relative}
    shown |= {each.column for each in DIVISIONS.values()}
    shown |= {*typing.get_args(Agent), *typing.get_args(State), "server", "hook"}
    assert shown == WORDS


def test_pages_are_in_the_language_of_the_person(admin: Browser, cloud: Double) -> None:
    gold = cloud.host.add_policy("gold", {"io_priority": 700})
    server = cloud.host.add("web", own={"cpu_priority": 2048}, policy=gold.number)
    page = text(admin.get(HOST, language="de"))
    assert "CPU-Anteile" in page
    assert "Server, laufend" in page
    assert "Angewendet" in page
    page = text(admin.get(f"{HOST}set/?server={server.id}", language="de"))
    assert "Weiche Speichergrenze" in page
    assert "Anteile, 2 bis 262144. Jetzt: 2048." in page
    page = text(admin.get(
        f"/admin/instances/{server.id}/detail?tab=instance_details__qos", language="de"))
    assert "Richtlinie gold (1)" in page
    # and of all others nothing has changed
    assert "CPU shares" in text(admin.get(HOST))
