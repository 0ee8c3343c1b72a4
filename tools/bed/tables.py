# SPDX-License-Identifier: Apache-2.0
"""Tables of text."""

import sys
from collections.abc import Iterable, Sequence


def show(heads: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print rows below their heads, each column as wide as its head or its widest cell."""
    lines = [list(heads), *([written(cell) for cell in row] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        cells = zip(line, widths, strict=True)
        print("  " + "  ".join(f"{cell:>{width}}" for cell, width in cells))
    sys.stdout.flush()


def written(value: object) -> str:
    """Integers without a fraction, others with three digits of it; words as they are."""
    if not isinstance(value, float):
        return str(value)
    return str(int(value)) if value == int(value) else f"{value:.3f}"
