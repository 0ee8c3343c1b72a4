# SPDX-License-Identifier: Apache-2.0
"""What alembic runs: one transaction a revision, on the connection that ``schema.py`` gives it."""

from alembic import context

from nova_qos.policies.models import METADATA, VERSION_TABLE

context.configure(
    connection=context.config.attributes["connection"], target_metadata=METADATA,
    version_table=VERSION_TABLE, transaction_per_migration=True)
with context.begin_transaction():
    context.run_migrations()
