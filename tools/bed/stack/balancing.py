# SPDX-License-Identifier: Apache-2.0
"""The cloud's host balances the memory of its servers for a while."""

from collections.abc import Iterator
from contextlib import contextmanager

from tools.bed.stack import services
from tools.bed.stack.layout import Layout

#: What all servers may use together, in MiB; the three were sold 1536.
BUDGET_MIB = 1000
#: What a guest that works occupies.
WORKING_MIB = 380
#: How often guests report meanwhile; nova has them do so each 2 s.
REPORT_S = 1
#: Guests of 512 MiB: that much more than planned is left to each.
BAND_MIB = 16


@contextmanager
def balanced(layout: Layout, mode: str = "on") -> Iterator[None]:
    """Let the agent balance, as if the host had no more memory than ``BUDGET_MIB``."""
    options = layout.run / "balancing.conf"
    options.write_text(
        f"[nova_qos_balance]\nmode = {mode}\nmemory_mib = {BUDGET_MIB}\n"
        f"tense_report_s = {REPORT_S}\nband_mib = {BAND_MIB}\n")
    plain = services.agent(layout)
    plain.stop()
    services.agent(layout, options).start()
    try:
        yield
    finally:
        plain.stop()
        plain.start()
