# SPDX-License-Identifier: Apache-2.0
"""The agent's row in nova's list of services (``compute service list``)."""

import contextlib

from nova import objects

from nova_qos.instances.settings import Context


def register(context: Context, host: str, binary: str, topic: str) -> None:
    """Make the row."""
    service = objects.Service(
        context, host=host, binary=binary, topic=topic, report_count=0)
    # nova-conductor makes the row and then fails to announce it: its notifications know nova's own
    # services only.
    with contextlib.suppress(ValueError):
        service.create()
