# SPDX-License-Identifier: Apache-2.0
"""The table of the state. Its row comes last: until then, nobody takes the tables for complete."""

import sqlalchemy as sa
from alembic import op

from nova_qos.policies.models import ON_MYSQL

revision, down_revision = "0001", None


def upgrade() -> None:
    """Make it; it may be there where MySQL was interrupted."""
    op.create_table(
        "nova_qos_state",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("database", sa.String(36), nullable=False),
        sa.Column("revision", sa.BigInteger, nullable=False),
        sa.Column("default_policy", sa.BigInteger, nullable=True),
        if_not_exists=True, **ON_MYSQL)
