"""Plots of the diagnostics screen as rows of text: commit latency, cost of steps, lag and RTF; no colour needed.

All plots have the same horizontal axis: the session's clock, at most its last ten minutes, with now at the right end.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from statistics import median, quantiles

from livecap.session.measures import CommittedWord, StepCost
from livecap.text.units import length_of_time
from livecap.tui.session_history import KEPT_SECONDS, Moment

AXIS_WIDTH = 8
HEIGHT = 4
TABLE_STEPS = 60
"""The table of stages shows the last steps, at most this many."""
MIN_BAR_WIDTH = 8
EIGHTHS = " ▁▂▃▄▅▆▇█"
PARTS = " ▏▎▍▌▋▊▉█"
SHADE = "░"


@dataclass(frozen=True, slots=True)
class Axis:
    """The horizontal time axis."""

    end_seconds: float
    """Now, on the session's clock."""
    column_seconds: float
    n_columns: int

    @classmethod
    def until(cls, end_seconds: float, width: int) -> "Axis":
        """The axis that fits into `width` columns: a second per column, or more in a longer session."""
        n_columns = max(8, width - AXIS_WIDTH)
        column_seconds = max(1.0, math.ceil(min(end_seconds, KEPT_SECONDS) / n_columns))
        return cls(end_seconds, column_seconds, n_columns)

    @property
    def about(self) -> str:
        shown = min(self.end_seconds, KEPT_SECONDS, self.column_seconds * self.n_columns)
        return f"the last {length_of_time(shown)}"

    def spread(self, points: Iterable[tuple[float, float]]) -> list[list[float]]:
        """The values in each column, from points of (seconds, value)."""
        found: list[list[float]] = [[] for _ in range(self.n_columns)]
        for at_seconds, value in points:
            back = int((self.end_seconds - at_seconds) / self.column_seconds)
            if 0 <= back < self.n_columns:
                found[-1 - back].append(value)
        return found


def p95(values: Sequence[float]) -> float:
    """The 95th percentile of at least one value."""
    return quantiles(values, n=20, method="inclusive")[18] if len(values) > 1 else values[0]


def latency_rows(words: Sequence[CommittedWord], axis: Axis) -> list[str]:
    """Time from the sound of a word until it became stable: the median as bars, the 95th percentile as shade."""
    if not words:
        return ["Word to stable: known after the first utterance"]
    seconds = [word.seconds for word in words]
    spread = axis.spread((word.at_seconds, word.seconds) for word in words)
    title = (
        f"Word to stable, seconds, {axis.about}   █ p50 {median(seconds):.2f}   ░ p95 {p95(seconds):.2f}   "
        f"({len(words)} words)"
    )
    return [title, *_plot(_each(median, spread), _each(p95, spread), 1.0)]


def cost_rows(steps: Sequence[StepCost], axis: Axis) -> list[str]:
    """Compute time of each step as bars, with the wait before it as shade."""
    if not steps:
        return ["Cost of a step: none yet"]
    compute = axis.spread((step.at_seconds, step.compute_seconds) for step in steps)
    in_all = axis.spread((step.at_seconds, step.compute_seconds + step.waited_seconds) for step in steps)
    title = f"Cost of a step, seconds, {axis.about}   █ computed   ░ with the wait before it"
    return [title, *_plot(_each(max, compute), _each(max, in_all), 0.05)]


def lag_rows(moments: Sequence[Moment], axis: Axis) -> list[str]:
    """Sound waiting to be decoded."""
    spread = axis.spread((moment.at_seconds, moment.lag_seconds) for moment in moments)
    return [f"Lag, seconds, {axis.about}", *_plot(_each(max, spread), None, 1.0)]


def rtf_rows(moments: Sequence[Moment], axis: Axis) -> list[str]:
    """Compute time over sound time, the real-time factor."""
    spread = axis.spread((moment.at_seconds, moment.rtf or 0.0) for moment in moments)
    return [f"Compute time per second of sound (RTF), {axis.about}", *_plot(_each(max, spread), None, 0.2)]


def stage_rows(steps: Sequence[StepCost], width: int) -> list[str]:
    """A table of the stages of the last steps: the mean as a bar, mean and 95th percentile in milliseconds."""
    last = steps[-TABLE_STEPS:]
    if not last:
        return []
    stages: dict[str, list[float]] = {
        "mel": [step.stages.mel for step in last],
        "encoder": [step.stages.encoder for step in last],
        "prefill+verify": [step.stages.prefill for step in last],
        "generate": [step.stages.generate for step in last],
        "host": [step.host_seconds for step in last],
        "waited": [step.waited_seconds for step in last],
    }
    bar_width = max(MIN_BAR_WIDTH, min(50, width - 38))
    top = max(sum(values) / len(values) for values in stages.values())
    rows = [f"{f'Stages of the last {len(last)} steps, ms':<{18 + bar_width}}{'mean':>7}{'p95':>7}"]
    for name, values in stages.items():
        mean = sum(values) / len(values)
        rows.append(f"{name:>16}  {bar(mean, top, bar_width)}{1e3 * mean:>7.1f}{1e3 * p95(values):>7.1f}")
    return rows


def _each(measure: Callable[[list[float]], float], spread: list[list[float]]) -> list[float | None]:
    return [measure(values) if values else None for values in spread]


def _plot(values: list[float | None], above: list[float | None] | None, least: float) -> list[str]:
    top = nice_top([value for value in above or values if value is not None], least)
    rows = columns(values, HEIGHT, top, above)
    marks = [f"{top:g}", *[""] * (HEIGHT - 2), "0"]
    return [f"{mark:>{AXIS_WIDTH - 2}} ┤{row}" for mark, row in zip(marks, rows, strict=True)]


def columns(
    values: Sequence[float | None], height: int, top: float, above: Sequence[float | None] | None = None
) -> list[str]:
    """A vertical bar for each value, in eighths of a row.

    Args:
        values: None leaves the column empty.
        height: rows of the plot.
        top: the value that fills a column.
        above: a second series, never below the first, drawn as shade above the bars.

    Returns:
        `height` rows, from top to bottom.
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
    """A horizontal bar in `width` characters; the value `top` fills it."""
    eighths = _scaled(value, top, width * 8)
    return ("█" * (eighths // 8) + PARTS[eighths % 8]).strip().ljust(width)[:width]


def _scaled(value: float | None, top: float, steps: int) -> int:
    """`value` in steps of which `steps` are `top`; at least 1 if it is above 0, so that small values are visible."""
    if value is None or value <= 0 or top <= 0:
        return 0
    return max(1, min(steps, round(value / top * steps)))


def nice_top(values: Sequence[float], least: float) -> float:
    """The smallest of 1, 2 or 5 times a power of ten that is not below any value, nor below `least` (above 0)."""
    most = max([least, *values])
    scale = 10.0 ** math.floor(math.log10(most))
    return next(scale * part for part in (1.0, 2.0, 5.0, 10.0) if most <= scale * part * (1 + 1e-9))
