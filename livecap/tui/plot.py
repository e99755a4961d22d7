"""A plot of numbers in braille dots or bars: rows of text, no colour needed."""

import math
from collections.abc import Sequence

EIGHTHS = " ▁▂▃▄▅▆▇█"


def bars(values: Sequence[float], width: int, height: int, top: float) -> list[str]:
    """The newest `width` values as columns; `top` fills a column.

    Returns:
        `height` rows of `width` characters, the highest first. Older columns are empty where there are too few values.
    """
    shown = list(values[-width:])
    columns = [0.0] * (width - len(shown)) + [min(1.0, max(0.0, value / top)) if top > 0 else 0.0 for value in shown]
    eighths = [round(column * height * 8) for column in columns]
    rows = []
    for row in range(height - 1, -1, -1):
        rows.append("".join(EIGHTHS[max(0, min(8, eighth - 8 * row))] for eighth in eighths))
    return rows


def nice_top(values: Sequence[float], least: float) -> float:
    """A round number not below any of the values, nor `least` (above 0): 1, 2 or 5 times a power of ten."""
    most = max([least, *values])
    scale = 10.0 ** math.floor(math.log10(most))
    return next(scale * part for part in (1.0, 2.0, 5.0, 10.0) if most <= scale * part * (1 + 1e-9))
