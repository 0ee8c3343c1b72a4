# SPDX-License-Identifier: Apache-2.0
"""The table of the policies."""

import sqlalchemy as sa
from alembic import op

from nova_qos.policies.models import ON_MYSQL

revision, down_revision = "0002", "0001"


def upgrade() -> None:
    """Make it; it may be there where MySQL was interrupted."""
    op.create_table(
        "nova_qos_policy",
        sa.Column("number", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("folded", sa.String(765), nullable=False, unique=True),
        sa.Column("description", sa.Text, nullable=False),
        sa.Column("settings", sa.Text, nullable=False),
        sa.Column("revision", sa.BigInteger, nullable=False),
        if_not_exists=True, **ON_MYSQL)
