# SPDX-License-Identifier: Apache-2.0
"""The cloud's host balances the memory of its servers for a while."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

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
def balanced(layout: Layout) -> Iterator[None]:
    """Let the agent balance, as if the host had no more memory than ``BUDGET_MIB``. Afterwards it
    does not; ``as_before`` takes its other options away as well."""
    _restart(layout, "on")
    try:
        yield
    finally:
        _restart(layout, "off")


def as_before(layout: Layout) -> None:
    """Give the agent the options again that it has without us."""
    services.agent(layout).stop()
    services.agent(layout).start()


def options_file(layout: Layout) -> Path:
    """Where the agent's further options stand meanwhile."""
    return layout.run / "balancing.conf"


def _restart(layout: Layout, mode: str) -> None:
    file = options_file(layout)
    file.write_text(
        f"[nova_qos_balance]\nmode = {mode}\nmemory_mib = {BUDGET_MIB}\n"
        f"tense_report_s = {REPORT_S}\nband_mib = {BAND_MIB}\n")
    agent = services.agent(layout, file)
    agent.stop()
    agent.start()
