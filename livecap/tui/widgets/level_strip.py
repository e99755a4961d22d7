"""LevelStrip: how loud the last half minute was, as a row of small bars."""

import math
from collections import deque

from rich.segment import Segment
from textual.reactive import reactive
from textual.strip import Strip
from textual.widget import Widget

BARS = " ▁▂▃▄▅▆▇█"
FLOOR_DB = -40.0
"""The lowest bar; higher than a meter's floor, so that speech moves."""
BAR_SECONDS = 0.5
"""Each bar is the mean of so long: its loudest moment is about the same in all speech."""
MAX_BARS = 60


class LevelStrip(Widget):
    """The newest bar is the right one."""

    DEFAULT_CSS = """
    LevelStrip { height: 1; width: 26; }
    """

    bars: reactive[tuple[int, ...]] = reactive(())
    """Indices into BARS, oldest first."""

    def __init__(self, id: str | None = None) -> None:
        super().__init__(id=id)
        self._heights: deque[int] = deque(maxlen=MAX_BARS)
        self._began: float | None = None
        self._sum, self._n = 0.0, 0

    def show(self, level: float | None, now: float) -> None:
        """Note the level now.

        Args:
            level: peak, 0..1; None while nothing is heard on purpose, which leaves the strip as it is.
            now: seconds of a monotonic clock.
        """
        if level is None:
            self._began = None
            return
        self._sum, self._n = self._sum + level, self._n + 1
        if self._began is None:
            self._began = now
        elif now - self._began >= BAR_SECONDS:
            self._heights.append(height(self._sum / self._n))
            self._began, self._sum, self._n = now, 0.0, 0
            self.bars = tuple(self._heights)

    def render_line(self, y: int) -> Strip:
        width = max(0, self.size.width - 2)
        text = "".join(BARS[bar] for bar in self.bars[-width:]) if width else ""
        return Strip([Segment(f" {text:>{width}} ")]).adjust_cell_length(self.size.width).apply_style(self.rich_style)


def height(level: float) -> int:
    """The index of the bar for a level of 0..1: equal steps of decibels."""
    db = 20 * math.log10(level) if level > 0 else FLOOR_DB
    return max(0, min(len(BARS) - 1, math.ceil((db - FLOOR_DB) / -FLOOR_DB * (len(BARS) - 1))))
