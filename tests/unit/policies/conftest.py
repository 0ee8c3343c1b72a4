# SPDX-License-Identifier: Apache-2.0
"""A database in a file: SQLite's database in memory is not for several threads."""

from pathlib import Path

import pytest
from oslo_config import cfg

from nova_qos import conf
from nova_qos.policies import engine, schema
from nova_qos.policies.engine import Database
from nova_qos.policies.store import Store
from tests.pace import LONG_S


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy machine is no database that is away."""
    monkeypatch.setattr(engine, "_WITHIN_S", LONG_S)


def options_for(connection: str | None) -> cfg.ConfigOpts:
    """nova.conf with this database."""
    options = cfg.ConfigOpts()
    # of its own: what is overridden in a registered group holds for all that share it
    options.register_group(cfg.OptGroup("nova_qos_database"))
    conf.register(options)
    options([], default_config_files=[])
    options.set_override("connection", connection, "nova_qos_database")
    return options


@pytest.fixture
def options(tmp_path: Path) -> cfg.ConfigOpts:
    """nova.conf with an empty database."""
    return options_for(f"sqlite:///{tmp_path}/policies.db")


@pytest.fixture
def store(options: cfg.ConfigOpts) -> Store:
    """The store of a database that was synced."""
    Database(options, patient=True).read(schema.upgrade)
    return Store(options)
