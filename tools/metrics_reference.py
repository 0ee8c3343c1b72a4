# SPDX-License-Identifier: Apache-2.0
"""The table of all metrics, as ``core.metric`` has them.

``python tools/metrics_reference.py`` writes ``doc/source/admin/metrics.inc``; a test compares it.
"""

import textwrap
from collections.abc import Iterator
from pathlib import Path

from nova_qos.core.metric import PREFIX, Metric, metrics
from nova_qos.resources import TABLE

PAGE = Path(__file__).parents[1] / "doc/source/admin/metrics.inc"
_HEAD = """\
.. Written by tools/metrics_reference.py.

.. list-table::
   :header-rows: 1
   :widths: 34 8 14 30 14

   * - name
     - type
     - labels
     - what it tells; its source
     - group
"""


def table() -> str:
    """The table as it is to be."""
    return _HEAD + "".join(line for each in metrics(TABLE) for line in _row(each))


def _row(each: Metric) -> Iterator[str]:
    cells = (f"``{PREFIX}{each.name}``", each.kind,
             ", ".join(f"``{label}``" for label in each.all_labels) or "none",
             f"{each.help} From {each.source}.", each.group or "always")
    for mark, cell in zip("*    ", cells, strict=True):
        wrapped = textwrap.wrap(cell, 92, break_on_hyphens=False, break_long_words=False)
        yield f"   {mark} - {wrapped[0]}\n"
        yield from (f"       {line}\n" for line in wrapped[1:])


if __name__ == "__main__":
    PAGE.write_text(table())
