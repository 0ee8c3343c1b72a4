# SPDX-License-Identifier: Apache-2.0
"""nova-qos-manage and the migrations, on a database in a file."""

from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from oslo_config import cfg

from nova_qos.cmd.manage import run
from nova_qos.core import errors
from nova_qos.policies import schema
from nova_qos.policies.engine import Database
from nova_qos.policies.models import METADATA, VERSION_TABLE
from nova_qos.policies.store import Store


@pytest.fixture
def nova_conf(tmp_path: Path) -> list[str]:
    """The arguments for a nova.conf with an empty database."""
    path = tmp_path / "nova.conf"
    path.write_text(f"[DEFAULT]\nmy_ip = ::1\n[nova_qos_database]\n"
                    f"connection = sqlite:///{tmp_path}/policies.db\n")
    return ["--config-file", str(path), "db"]


def test_from_an_empty_database_on(
    nova_conf: list[str], options: cfg.ConfigOpts, capsys: pytest.CaptureFixture[str]
) -> None:
    assert [run([*nova_conf, each]) for each in ("check", "version", "sync", "sync", "check",
                                                 "version", "renew")] == [1, 0, 0, 0, 0, 0, 0]
    newest = schema.revisions()[-1]
    *said, renewed = capsys.readouterr().out.splitlines()
    assert said == [
        f"the database is at revision none and has to be at {newest}; run nova-qos-manage db sync",
        "none", f"the database is at revision {newest}, before at none",
        f"the database is at revision {newest} already",
        f"the database is ready, at revision {newest}", newest]
    assert renewed.endswith(f" {Store(options).version()[0]}")


@pytest.mark.parametrize("before", schema.revisions())
def test_an_upgrade_from_each_revision(options: cfg.ConfigOpts, before: str) -> None:
    database = Database(options, patient=True)
    database.read(lambda connection: schema.upgrade(connection, before))
    assert database.read(schema.present) == before
    if before != schema.revisions()[-1]:
        with pytest.raises(errors.NoDatabase, match="db sync"):
            Store(options).catalog()
    database.read(schema.upgrade)
    assert Store(options).catalog().revision == 0
    assert database.read(differences) == []


def differences(connection: sa.Connection) -> list[object]:
    """What the migrations have made otherwise than the models say."""
    return list(compare_metadata(MigrationContext.configure(
        connection, opts={"version_table": VERSION_TABLE, "compare_type": True}), METADATA))


def test_a_newer_schema_is_left_alone(
    nova_conf: list[str], options: cfg.ConfigOpts, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run([*nova_conf, "sync"]) == 0
    Database(options).change(lambda connection: connection.execute(
        sa.text(f"UPDATE {VERSION_TABLE} SET version_num = '9999'")))
    assert [run([*nova_conf, each]) for each in ("sync", "check", "version")] == [2, 2, 0]
    captured = capsys.readouterr()
    assert captured.err.count("revision 9999") == 2
    assert captured.out.endswith("9999\n")


def test_failures_have_their_reason(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--config-file", str(tmp_path / "none.conf"), "db", "sync"]) == 2
    (tmp_path / "nova.conf").write_text("")
    assert run(["--config-file", str(tmp_path / "nova.conf"), "db", "sync"]) == 2
    (tmp_path / "nova.conf").write_text(
        "[nova_qos_database]\nconnection = sqlite:////nonexistent/x.db\n")
    assert run(["--config-file", str(tmp_path / "nova.conf"), "db", "sync"]) == 2
    missing, unset, absent = capsys.readouterr().err.splitlines()
    assert "none.conf" in missing
    assert "[nova_qos_database] connection is not set" in unset
    assert absent.endswith("(unable to open database file)")
