# SPDX-License-Identifier: Apache-2.0
"""The row of the state, with an id that tells this database from every other one."""

import uuid

import sqlalchemy as sa
from alembic import op

revision, down_revision = "0004", "0003"


def upgrade() -> None:
    """Put it in; it may be there where MySQL was interrupted."""
    state = sa.table(
        "nova_qos_state", sa.column("id"), sa.column("database"), sa.column("revision"))
    if op.get_bind().scalar(sa.select(state.c.id).where(state.c.id == 1)) is None:
        op.execute(state.insert().values(id=1, database=str(uuid.uuid4()), revision=0))
