# SPDX-License-Identifier: Apache-2.0
"""A second nova API without nova-qos, for comparisons: configured as the first one but for its
api-paste.ini, which is nova's own. Both use the same databases, conductor and hosts."""

import contextlib
import shutil
from collections.abc import Iterator
from typing import Any

from tools.bed.errors import TestbedError
from tools.bed.stack import config, services
from tools.bed.stack.layout import PLAIN_API_PORT, REGION, Layout

#: Of the service in keystone's catalogue: nova's own clients do not look there.
CATALOG_TYPE = "compute-plain"
URL = f"http://127.0.0.1:{PLAIN_API_PORT}/v2.1"


@contextlib.contextmanager
def running(layout: Layout, cloud: Any) -> Iterator[None]:
    """Have it run and be in the catalogue for a while.

    :raises TestbedError: it does not start
    """
    daemon = services.plain_api(layout)
    # one that a run that was ended has left may have another configuration
    daemon.stop()
    _forget(cloud)
    try:
        configure(layout)
        daemon.start()
        entry = cloud.identity.create_service(name=services.PLAIN, type=CATALOG_TYPE)
        cloud.identity.create_endpoint(
            service_id=entry.id, interface="public", url=URL, region_id=REGION)
        yield
    finally:
        _forget(cloud)
        daemon.stop()
        shutil.rmtree(layout.etc(services.PLAIN), ignore_errors=True)


def configure(layout: Layout) -> None:
    """Write its files: the first API's nova.conf, which names another api-paste.ini.

    :raises TestbedError: that nova.conf does not name the first API's api-paste.ini
    """
    first, own = layout.etc("nova"), layout.etc(services.PLAIN)
    text, paste = first.joinpath("nova.conf").read_text(), str(first / "api-paste.ini")
    if text.count(paste) != 1:
        raise TestbedError(f"{first / 'nova.conf'} does not name {paste} once")
    own.mkdir(parents=True, exist_ok=True)
    own.joinpath("nova.conf").write_text(text.replace(paste, str(own / "api-paste.ini")))
    # nova looks for it beside nova.conf
    shutil.copy(config.novas_paste(layout), own)


def _forget(cloud: Any) -> None:
    # its endpoints go with it; one may be left by a run that was ended
    for entry in cloud.identity.services(type=CATALOG_TYPE):
        cloud.identity.delete_service(entry)
