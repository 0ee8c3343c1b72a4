# SPDX-License-Identifier: Apache-2.0
"""The table of the projects that have a policy."""

import sqlalchemy as sa
from alembic import op

from nova_qos.policies.models import ON_MYSQL

revision, down_revision = "0003", "0002"


def upgrade() -> None:
    """Make it; it may be there where MySQL was interrupted."""
    op.create_table(
        "nova_qos_project",
        sa.Column("project", sa.String(255), primary_key=True),
        sa.Column("policy", sa.BigInteger, nullable=False),
        if_not_exists=True, **ON_MYSQL)
