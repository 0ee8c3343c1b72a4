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
    directory, daemon = layout.etc(services.PLAIN), services.plain_api(layout)
    _forget(cloud)
    try:
        directory.mkdir(parents=True, exist_ok=True)
        text = layout.etc("nova").joinpath("nova.conf").read_text()
        directory.joinpath("nova.conf").write_text(plain_conf(text, layout))
        daemon.start()
        entry = cloud.identity.create_service(name=services.PLAIN, type=CATALOG_TYPE)
        cloud.identity.create_endpoint(
            service_id=entry.id, interface="public", url=URL, region_id=REGION)
        yield
    finally:
        _forget(cloud)
        daemon.stop()
        shutil.rmtree(directory, ignore_errors=True)


def plain_conf(text: str, layout: Layout) -> str:
    """The first API's nova.conf with another api-paste.ini.

    :raises TestbedError: it does not name the first API's
    """
    line = f"api_paste_config = {layout.etc('nova') / 'api-paste.ini'}\n"
    if text.count(line) != 1:
        raise TestbedError(f"nova.conf of the API lacks the line {line}")
    return text.replace(line, f"api_paste_config = {config.novas_paste(layout)}\n")


def _forget(cloud: Any) -> None:
    # its endpoints go with it; one may be left by a run that was ended
    for entry in cloud.identity.services(type=CATALOG_TYPE):
        cloud.identity.delete_service(entry)
