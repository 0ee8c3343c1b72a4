# SPDX-License-Identifier: Apache-2.0
"""The row of the state, with an id that tells this database from every other one."""

import uuid

import sqlalchemy as sa
from alembic import op

revision, down_revision = "0004", "0003"


def upgrade() -> None:
    """Put it in."""
    state = sa.table(
        "nova_qos_state", sa.column("id"), sa.column("database"), sa.column("revision"))
    op.execute(state.insert().values(id=1, database=str(uuid.uuid4()), revision=0))
