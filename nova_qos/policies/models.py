# SPDX-License-Identifier: Apache-2.0
"""The tables, as this release reads and writes them; ``migrations/`` makes them."""

from typing import Any

import sqlalchemy as sa

from nova_qos.core.policy import LONGEST_NAME

#: Where alembic keeps the revision: other services may have tables in the same database.
VERSION_TABLE = "nova_qos_alembic_version"
#: Case folding makes up to three characters of one.
LONGEST_FOLDED = 3 * LONGEST_NAME
#: A unique key of that many characters needs this row format; names differ as Python says it.
ON_MYSQL: dict[str, Any] = {
    "mysql_engine": "InnoDB", "mysql_charset": "utf8mb4", "mysql_collate": "utf8mb4_bin",
    "mysql_row_format": "DYNAMIC", "mariadb_engine": "InnoDB", "mariadb_charset": "utf8mb4",
    "mariadb_collate": "utf8mb4_bin", "mariadb_row_format": "DYNAMIC",
}
METADATA = sa.MetaData()

#: One row, 1. Every change writes it first, so that changes wait for each other.
STATE = sa.Table(
    "nova_qos_state", METADATA,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("database", sa.String(36), nullable=False),
    sa.Column("revision", sa.BigInteger, nullable=False),
    sa.Column("default_policy", sa.BigInteger, nullable=True),
    **ON_MYSQL)

POLICY = sa.Table(
    "nova_qos_policy", METADATA,
    sa.Column("number", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("name", sa.String(LONGEST_NAME), nullable=False),
    sa.Column("folded", sa.String(LONGEST_FOLDED), nullable=False, unique=True),
    sa.Column("description", sa.Text, nullable=False),
    sa.Column("settings", sa.Text, nullable=False),
    sa.Column("revision", sa.BigInteger, nullable=False),
    **ON_MYSQL)

PROJECT = sa.Table(
    "nova_qos_project", METADATA,
    sa.Column("project", sa.String(255), primary_key=True),
    sa.Column("policy", sa.BigInteger, nullable=False),
    **ON_MYSQL)
