"""Plots of numbers as rows of text: bars of eighths, shades for what lies above them. No colour needed."""

import math
from collections.abc import Sequence

EIGHTHS = " ▁▂▃▄▅▆▇█"
PARTS = " ▏▎▍▌▋▊▉█"
SHADE = "░"


def columns(
    values: Sequence[float | None], height: int, top: float, above: Sequence[float | None] | None = None
) -> list[str]:
    """A column for each value; `top` fills a column, and None is nothing.

    Args:
        above: a second series that is never below the first: a shade reaches up to it.

    Returns:
        `height` rows, the highest first.
    """
    full = [_scaled(value, top, height * 8) for value in values]
    shade = [_scaled(value, top, height) for value in above] if above is not None else [0] * len(full)
    rows = []
    for row in range(height - 1, -1, -1):
        cells = []
        for eighths, shaded in zip(full, shade, strict=True):
            bar = EIGHTHS[max(0, min(8, eighths - 8 * row))]
            cells.append(SHADE if bar == " " and shaded > row else bar)
        rows.append("".join(cells))
    return rows


def bar(value: float, top: float, width: int) -> str:
    """A horizontal bar, `width` characters; `top` fills it."""
    eighths = _scaled(value, top, width * 8)
    return ("█" * (eighths // 8) + PARTS[eighths % 8]).strip().ljust(width)[:width]


def _scaled(value: float | None, top: float, steps: int) -> int:
    """0 only for nothing: what is small is still seen."""
    if value is None or value <= 0 or top <= 0:
        return 0
    return max(1, min(steps, round(value / top * steps)))


def nice_top(values: Sequence[float], least: float) -> float:
    """A round number not below any of the values, nor `least` (above 0): 1, 2 or 5 times a power of ten."""
    most = max([least, *values])
    scale = 10.0 ** math.floor(math.log10(most))
    return next(scale * part for part in (1.0, 2.0, 5.0, 10.0) if most <= scale * part * (1 + 1e-9))
