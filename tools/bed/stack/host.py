# SPDX-License-Identifier: Apache-2.0
"""The cloud's own compute host, as one looks at it from outside."""

from tools.bed.observer import Observer
from tools.bed.stack import services
from tools.bed.stack.layout import Layout
from tools.bed.stack.network import UPLINK
from tools.bed.uplink import Uplink

uplink = Uplink(UPLINK)


def observer(layout: Layout) -> Observer:
    """Looks at the cloud's libvirt, at this machine's control groups and at the cloud's uplink."""
    return Observer(services.libvirt(layout), uplink)
