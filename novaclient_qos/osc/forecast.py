# SPDX-License-Identifier: Apache-2.0
"""What servers and their neighbours would have after a change, as a table."""

from collections.abc import Sequence

from nova_qos.dry_run.forecast import DIVISIONS, Forecast, Line
from novaclient_qos.osc.cells import Cell


def table(forecast: Forecast, whole: bool) -> tuple[list[str], list[list[object]]]:
    """Titles and rows.

    :param whole: with the columns of resources whose division stays as it is
    """
    shown = list(DIVISIONS) if whole else forecast.moved
    titles = ["Host", "Server", "Changes"]
    for name in shown:
        titles += [DIVISIONS[name].column, f"{DIVISIONS[name].column} Then"]
    if whole or forecast.is_refused:
        titles.append("Refusal")
    return titles, [_row(line, shown, titles) for line in forecast.lines]


def _row(line: Line, shown: Sequence[str], titles: Sequence[str]) -> list[object]:
    cells: list[object] = [line.host, line.server, line.changes]
    for name in shown:
        cells += [Cell(None) if each is None else Cell(round(each, 3), f"{each:.1f}")
                  for each in line.parts[name]]
    return [*cells, line.refusal] if "Refusal" in titles else cells
