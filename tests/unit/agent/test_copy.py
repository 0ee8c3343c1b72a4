# SPDX-License-Identifier: Apache-2.0
"""The agent's copy of the policies: when it is fetched, kept, replaced and believed."""

import json
import re
import stat
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from nova_qos.agent import copy
from nova_qos.agent.copy import Policies
from nova_qos.agent.schedule import Schedule
from nova_qos.core import errors
from nova_qos.core.policy import NONE_ID, Catalog, Policy
from nova_qos.core.reading import Reading
from nova_qos.core.server import POLICY, Flavor, SavedServer
from nova_qos.core.source import Assigned
from tests.pace import LONG_S, Stopwatch, eventually

GOLD = Policy(5, "gold", {"cpu_priority": 2048, "memory": "50%"}, 2)
CATALOG = Catalog("db", 7, {5: GOLD}, {"project": 5})
SERVER = SavedServer("uuid", "host", None, Flavor(512), project="project")
LATER = replace(CATALOG, revision=8, default=5)
OTHER = replace(SERVER, project="other")
AWAY, NONE = errors.Unreachable("nobody there"), errors.NoDatabase("not configured")


class Api:
    """Answers with the catalogs, or errors, that it has, one after another; the last one stays."""

    def __init__(self, *answers: Catalog | Exception) -> None:
        self.answers = list(answers)
        self.etags: list[str | None] = []
        #: Unless it is set, nobody gets an answer.
        self.is_there = threading.Event()
        self.is_there.set()

    def __call__(self, known: Catalog, etag: str | None) -> Catalog | None:
        self.etags.append(etag)
        self.is_there.wait(2 * LONG_S)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return None if etag == f'"{answer.database}-{answer.revision}"' else answer


class Site:
    """The directory of an agent that may start several times."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.file = directory / "policies.json"
        self.changes = 0
        self._started: list[Policies] = []

    def policies(self, api: Api, interval_s: float = 3600.0) -> Policies:
        made = Policies(api, str(self.directory), interval_s, self._changed)
        self._started.append(made)
        return made

    def started(self, api: Api, interval_s: float = 3600.0) -> Policies:
        made = self.policies(api, interval_s)
        made.start()
        return made

    def _changed(self) -> None:
        self.changes += 1

    def stop(self) -> None:
        for each in self._started:
            each.stop()


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    # what lasts seconds lasts milliseconds
    monkeypatch.setattr(copy, "_SPREAD_S", 0.01)
    monkeypatch.setattr(copy, "_LAG_S", 0.01)
    # a busy machine is no API that is away
    monkeypatch.setattr(copy, "_FIRST_S", LONG_S)
    site = Site(tmp_path / "state")
    yield site
    site.stop()


def names_of(policies: Policies, server: SavedServer = SERVER) -> list[str | None]:
    """The policies that a server gets."""
    assigned = policies.assigned(server).assigned
    assert assigned.missing is None
    return [layer.source.name for layer in assigned.layers]


def missing_of(policies: Policies, server: SavedServer = SERVER) -> str | None:
    return policies.assigned(server).assigned.missing


def test_known_as_soon_as_it_has_started(site: Site) -> None:
    policies = site.started(Api(CATALOG))
    (layer,) = policies.assigned(SERVER).assigned.layers
    assert (layer.settings, layer.source.revision) == ({"cpu_priority": 2048, "memory": 256}, 2)
    assert policies.assigned(OTHER).assigned == Assigned()
    assert (site.changes, policies.reading().reason) == (1, None)
    assert policies.age_s is not None
    assert policies.age_s < 60


def test_kept_for_the_next_start(site: Site) -> None:
    site.started(Api(CATALOG))
    later = site.policies(Api(AWAY))
    assert names_of(later) == ["gold"]
    assert stat.S_IMODE(site.file.stat().st_mode) == 0o600
    assert stat.S_IMODE(site.directory.stat().st_mode) == 0o700
    assert [path.name for path in site.directory.iterdir()] == ["policies.json"]


def test_the_next_start_asks_whether_it_is_current(site: Site) -> None:
    site.started(Api(CATALOG))
    api = Api(CATALOG)
    site.started(api).refresh(LONG_S)
    assert api.etags[0] == '"db-7"'
    assert site.changes == 1


def test_asked_again_and_again(site: Site) -> None:
    api = Api(CATALOG)
    policies = site.started(api, 0.01)
    eventually(lambda: len(api.etags) > 5)
    assert api.etags[:3] == [None, '"db-7"', '"db-7"']
    assert site.changes == 1
    api.answers = [replace(CATALOG, revision=8, projects={"other": 5})]
    eventually(lambda: site.changes == 2)
    assert (names_of(policies), names_of(policies, OTHER)) == ([], ["gold"])


def test_a_hint_has_it_fetched(site: Site) -> None:
    api = Api(CATALOG, LATER)
    site.started(api).hint(8)
    eventually(lambda: site.changes == 2)


def test_a_thousand_agents_do_not_ask_together(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A hint reaches all of them at the same moment."""
    delays: list[float] = []
    monkeypatch.setattr(copy, "_SPREAD_S", 2.0)
    monkeypatch.setattr(Schedule, "put", lambda _self, _key, delay_s=0.0: delays.append(delay_s))
    for _ in range(1000):
        site.policies(Api(CATALOG)).hint(8)
    by_quarter = Counter(int(delay_s / 0.5) for delay_s in delays)
    assert by_quarter.keys() == {0, 1, 2, 3}
    assert max(by_quarter.values()) < 400


def test_those_that_start_together_do_not_go_on_together(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    delays: list[float] = []
    put = Schedule.put

    def noted(self: Schedule, key: str, delay_s: float = 0.0) -> None:
        delays.append(delay_s)
        put(self, key, delay_s)

    monkeypatch.setattr(Schedule, "put", noted)
    policies = [site.started(Api(CATALOG), 60.0) for _ in range(50)]
    eventually(lambda: len(delays) >= 2 * len(policies))
    waits = [delay_s for delay_s in delays if delay_s]
    assert all(54 <= delay_s <= 66 for delay_s in waits)
    assert len({round(delay_s, 1) for delay_s in waits}) > 20


def test_a_database_node_that_lags_behind_a_hint(site: Site) -> None:
    site.started(Api(CATALOG, CATALOG, CATALOG, LATER)).hint(8)
    eventually(lambda: site.changes == 2)


@pytest.mark.parametrize("edited", [
    replace(CATALOG, policies={5: replace(GOLD, revision=3, description="for those who pay")}),
    CATALOG])
def test_what_changes_nothing_for_servers_has_none_looked_at(
    site: Site, edited: Catalog
) -> None:
    policies = site.started(Api(CATALOG, replace(edited, revision=8)))
    policies.refresh(LONG_S)
    assert (policies.reading().applied, site.changes) == (8, 1)
    assert site.policies(Api(AWAY)).reading().applied == 8


@pytest.mark.parametrize("edited", [
    replace(CATALOG, policies={5: replace(GOLD, settings={"cpu_priority": 2048})}),
    replace(CATALOG, policies={5: GOLD, 6: Policy(6, "silver", {})}),
    replace(CATALOG, projects={}), replace(CATALOG, default=5)])
def test_what_servers_get_has_them_looked_at(site: Site, edited: Catalog) -> None:
    site.started(Api(CATALOG, replace(edited, revision=8))).refresh(LONG_S)
    assert site.changes == 2


def test_a_revision_that_never_comes(site: Site) -> None:
    api = Api(CATALOG)
    site.started(api).hint(10**9)
    eventually(lambda: len(api.etags) == 6)
    time.sleep(0.1)
    assert len(api.etags) == 6


def test_an_older_answer_is_doubted(site: Site) -> None:
    older = replace(CATALOG, revision=6, projects={})
    api = Api(CATALOG, older, older, CATALOG)
    policies = site.started(api)
    policies.hint(7)
    eventually(lambda: len(api.etags) == 4)
    assert (site.changes, names_of(policies)) == (1, ["gold"])


def test_an_older_answer_that_stays_is_believed(site: Site) -> None:
    """The database came from a backup."""
    api = Api(CATALOG, replace(CATALOG, revision=6, projects={}))
    policies = site.started(api)
    policies.hint(6)
    eventually(lambda: site.changes == 2)
    assert names_of(policies) == []


def test_another_database_counts_whatever_its_revision(site: Site) -> None:
    api = Api(CATALOG, Catalog("another", 1))
    policies = site.started(api)
    policies.refresh(LONG_S)
    assert names_of(policies) == []
    assert len(api.etags) == 2


def test_a_failure_leaves_the_copy(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    api = Api(CATALOG, AWAY)
    policies = site.started(api, 0.01)
    eventually(lambda: len(api.etags) > 5)
    assert names_of(policies) == ["gold"]
    assert policies.reading().reason == "nobody there"
    api.answers = [CATALOG]
    eventually(lambda: policies.reading().reason is None)
    said = [text for record in caplog.records
            if (text := record.getMessage()).startswith("Could not fetch")]
    assert re.fullmatch(
        r"Could not fetch the policies, the copy of 20\d\d-\d\d-\d\d \d\d:\d\d UTC stays in force: "
        "nobody there", "\n".join(said))


def test_the_log_says_so_again_and_again(
    site: Site, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(copy, "_REMIND_S", 0.0)
    api = Api(CATALOG, AWAY)
    site.started(api, 0.01)
    eventually(lambda: caplog.text.count("Could not fetch the policies") > 2)


def test_after_a_failure_the_next_question_comes_soon_whatever_the_interval(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(copy, "_RETRY_S", 0.05)
    policies = site.started(Api(AWAY, AWAY, CATALOG), 86400.0)
    eventually(lambda: missing_of(policies) is None)
    assert names_of(policies) == ["gold"]


def test_what_the_copy_is(site: Site) -> None:
    policies = site.started(Api(CATALOG, AWAY))
    for why in (None, "nobody there"):
        told = policies.reading()
        assert (told.applied, told.reason, told.unmet) == (7, why, None)
        assert 0 <= told.details["age_s"] < 60
        policies.refresh(LONG_S)


def test_what_no_copy_is(site: Site) -> None:
    assert site.started(Api(AWAY)).reading() == Reading(None, reason="nobody there")
    assert site.started(Api(NONE)).reading() == Reading(None, reason="not configured")


def test_one_line_when_it_works_again(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    api = Api(CATALOG, AWAY, AWAY, CATALOG)
    policies = site.started(api, 0.01)
    # the last but two is done with
    eventually(lambda: len(api.etags) > 6)
    said = [record.getMessage() for record in caplog.records]
    assert said.count("The policies can be fetched again") == 1
    assert len([line for line in said if line.startswith("Could not fetch the policies")]) == 1
    assert policies.reading().reason is None


def test_no_policies(site: Site) -> None:
    policies = site.started(Api(NONE))
    assert policies.assigned(SERVER).assigned == Assigned()
    assert (policies.age_s, policies.reading().reason, site.changes) == (None, "not configured", 1)
    missing = str(missing_of(policies, replace(SERVER, own={POLICY: 5})))
    assert missing.startswith("policy 5 is assigned, which is not known here")
    assert missing.endswith(
        "; the host's agent could not fetch the policies lately, and its log says why")
    assert not site.file.exists()


def test_no_policies_any_more(site: Site) -> None:
    """More likely, the API lost its configuration."""
    policies = site.started(Api(CATALOG, NONE))
    policies.refresh(LONG_S)
    assert names_of(policies) == ["gold"]
    assert policies.reading().reason == "not configured"
    assert names_of(site.started(Api(NONE))) == ["gold"]


def test_before_the_first_answer_nothing_is_known(
    site: Site, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    api = Api(AWAY)
    policies = site.started(api)
    assert missing_of(policies) == "the host's agent has yet to fetch the policies"
    assert policies.assigned(replace(SERVER, own={POLICY: NONE_ID})).assigned == Assigned()
    assert "servers keep what this host holds for them: nobody there" in caplog.text
    # however long it takes
    with monkeypatch.context() as later:
        now_s = time.monotonic()
        later.setattr(time, "monotonic", lambda: now_s + 10**6)
        assert missing_of(policies) is not None
    api.answers = [CATALOG]
    policies.refresh(LONG_S)
    assert names_of(policies) == ["gold"]


def test_a_start_waits_for_the_first_answer_but_not_for_long(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(copy, "_FIRST_S", 0.1)
    api = Api(CATALOG)
    api.is_there.clear()
    began = time.monotonic()
    with Stopwatch() as watch:
        policies = site.started(api)
    assert time.monotonic() - began >= 0.1
    assert watch.seconds < 0.5
    assert missing_of(policies) is not None
    api.is_there.set()
    eventually(lambda: missing_of(policies) is None)


def test_a_refresh_takes_no_longer_than_it_may(site: Site) -> None:
    api = Api(CATALOG)
    policies = site.started(api)
    api.is_there.clear()
    began = time.monotonic()
    with Stopwatch() as watch:
        policies.refresh(0.1)
    assert time.monotonic() - began >= 0.1
    assert watch.seconds < 0.5
    api.is_there.set()


def test_who_seeks_a_policy_does_not_wait_for_an_api_that_is_away(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(copy, "_SILENT_S", 600.0)
    api = Api(CATALOG, AWAY)
    policies = site.started(api)
    # the first one finds out
    policies.seek(LONG_S)
    for _ in range(3):
        policies.seek(LONG_S)
    assert len(api.etags) == 2


def test_who_seeks_a_policy_does_not_wait_for_an_api_that_is_silent(site: Site) -> None:
    api = Api(CATALOG)
    policies = site.started(api)
    api.is_there.clear()
    began = time.monotonic()
    with Stopwatch() as watch:
        for _ in range(20):
            policies.seek(0.2)
    # a thread may have begun to ask a moment later
    assert time.monotonic() - began >= 0.2
    assert watch.seconds < 0.5
    api.is_there.set()


def test_who_seeks_a_policy_finds_it(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(copy, "_SILENT_S", 0.05)
    policies = site.started(Api(Catalog("db", 6), AWAY, CATALOG))
    policies.seek(LONG_S)
    time.sleep(0.1)
    policies.seek(LONG_S)
    assert names_of(policies) == ["gold"]


def test_many_refreshes_are_few_questions(site: Site) -> None:
    api = Api(CATALOG)
    policies = site.started(api)
    api.is_there.clear()
    waiting = [threading.Thread(target=policies.refresh, args=(LONG_S,)) for _ in range(20)]
    for each in waiting:
        each.start()
    eventually(lambda: policies._asked == 1 + len(waiting))
    api.is_there.set()
    for each in waiting:
        each.join()
    assert len(api.etags) <= 4


def test_not_started_it_asks_nobody(site: Site) -> None:
    api = Api(CATALOG)
    policies = site.policies(api)
    policies.refresh(LONG_S)
    assert (api.etags, names_of(policies)) == ([], [])


@pytest.mark.parametrize("text", [
    "", "\x00", "[]", "null", "{}", '{"catalog": {}, "fetched_at": 1}',
    json.dumps({"catalog": CATALOG.to_json()}),
    json.dumps({"catalog": CATALOG.to_json(), "fetched_at": "soon"})])
def test_a_file_that_is_none(site: Site, text: str, caplog: pytest.LogCaptureFixture) -> None:
    site.directory.mkdir()
    site.file.write_text(text)
    policies = site.policies(Api(CATALOG))
    assert policies.age_s is None
    assert "Ignored the copy of the policies" in caplog.text
    policies.start()
    assert names_of(site.policies(Api(AWAY))) == ["gold"]


def test_what_an_interrupted_write_left(site: Site) -> None:
    site.directory.mkdir()
    (site.directory / "policies.new").write_text("half")
    site.started(Api(CATALOG))
    assert names_of(site.policies(Api(AWAY))) == ["gold"]


def test_no_place_for_a_file(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "file").write_text("")
    site = Site(tmp_path / "file/below")
    assert names_of(site.started(Api(CATALOG))) == ["gold"]
    assert "state_directory" in caplog.text
    site.stop()


def test_whatever_is_raised_it_goes_on(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    policies = site.started(Api(RuntimeError("odd"), RuntimeError("odd"), CATALOG), 0.01)
    eventually(lambda: missing_of(policies) is None)
    assert names_of(policies) == ["gold"]
    assert caplog.text.count("Traceback") == 1


def test_a_copy_that_is_old(site: Site) -> None:
    site.directory.mkdir()
    site.file.write_text(json.dumps(
        {"catalog": CATALOG.to_json(), "fetched_at": time.time() - 1000}))
    policies = site.policies(Api(CATALOG))
    assert policies.age_s == pytest.approx(1000, abs=60)
    policies.start()
    eventually(lambda: (policies.age_s or 0) < 100)
