"""What the diagnostics show of the last minutes: when words became stable, what steps cost and where, and lag.

All plots have the same axis: the session's clock, its last ten minutes at most, the present at the right end.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from statistics import median, quantiles

from livecap.session.commit_latency import CommittedWord
from livecap.session.step_costs import StepCost
from livecap.tui.session_history import Moment
from livecap.tui.spoken import length_of_time
from livecap.tui.widgets.plot import bar, columns, nice_top

AXIS_WIDTH = 8
HEIGHT = 4
SHOWN_SECONDS = 600.0
TABLE_STEPS = 60
"""Steps of the table of stages."""
MIN_BAR_WIDTH = 8


@dataclass(frozen=True, slots=True)
class Axis:
    """Time from left to right."""

    end_seconds: float
    """Of the session's clock: now."""
    column_seconds: float
    n_columns: int

    @classmethod
    def until(cls, end_seconds: float, width: int) -> "Axis":
        """What fits into `width`: a second a column, or more where the session is longer."""
        n_columns = max(8, width - AXIS_WIDTH)
        column_seconds = max(1.0, math.ceil(min(end_seconds, SHOWN_SECONDS) / n_columns))
        return cls(end_seconds, column_seconds, n_columns)

    @property
    def about(self) -> str:
        shown = min(self.end_seconds, SHOWN_SECONDS, self.column_seconds * self.n_columns)
        return f"the last {length_of_time(shown)}"

    def spread(self, points: Iterable[tuple[float, float]]) -> list[list[float]]:
        """The values of (when, value) in each column."""
        found: list[list[float]] = [[] for _ in range(self.n_columns)]
        for at_seconds, value in points:
            back = int((self.end_seconds - at_seconds) / self.column_seconds)
            if 0 <= back < self.n_columns:
                found[-1 - back].append(value)
        return found


def p95(values: Sequence[float]) -> float:
    """Of at least one value."""
    return quantiles(values, n=20, method="inclusive")[18] if len(values) > 1 else values[0]


def latency_rows(words: Sequence[CommittedWord], axis: Axis) -> list[str]:
    """How long after its sound a word became stable: half of them below the bars, most of them below the shade."""
    if not words:
        return ["Word to stable: told when the first utterance has ended"]
    seconds = [word.seconds for word in words]
    spread = axis.spread((word.at_seconds, word.seconds) for word in words)
    title = (
        f"Word to stable, seconds, {axis.about}   █ p50 {median(seconds):.2f}   ░ p95 {p95(seconds):.2f}   "
        f"({len(words)} words)"
    )
    return [title, *_plot(_each(median, spread), _each(p95, spread), 1.0)]


def cost_rows(steps: Sequence[StepCost], axis: Axis) -> list[str]:
    """What steps cost, and how long sound had waited for them."""
    if not steps:
        return ["Cost of a step: none yet"]
    compute = axis.spread((step.at_seconds, step.compute_seconds) for step in steps)
    in_all = axis.spread((step.at_seconds, step.compute_seconds + step.waited_seconds) for step in steps)
    title = f"Cost of a step, seconds, {axis.about}   █ computed   ░ with the wait before it"
    return [title, *_plot(_each(max, compute), _each(max, in_all), 0.05)]


def lag_rows(moments: Sequence[Moment], axis: Axis) -> list[str]:
    """Sound that waited to be decoded."""
    spread = axis.spread((moment.at_seconds, moment.lag_seconds) for moment in moments)
    return [f"Lag, seconds, {axis.about}", *_plot(_each(max, spread), None, 1.0)]


def rtf_rows(moments: Sequence[Moment], axis: Axis) -> list[str]:
    """Compute time over sound time."""
    spread = axis.spread((moment.at_seconds, moment.rtf or 0.0) for moment in moments)
    return [f"Compute a second of sound (RTF), {axis.about}", *_plot(_each(max, spread), None, 0.2)]


def stage_rows(steps: Sequence[StepCost], width: int) -> list[str]:
    """A row for each stage of the last steps: its mean as a bar, p50 and p95 in milliseconds."""
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
