"""LevelStrip: how loud the last half minute was, as a row of small bars."""

import math
from collections import deque

from rich.segment import Segment
from textual.reactive import reactive
from textual.strip import Strip
from textual.widget import Widget

BARS = " ▁▂▃▄▅▆▇█"
FLOOR_DB = -45.0
"""The lowest bar; higher than a meter's floor, so that speech moves."""
BAR_SECONDS = 0.5
"""Each bar is the loudest moment of so long."""
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
        self._loudest = 0.0

    def show(self, level: float | None, now: float) -> None:
        """Note the level now.

        Args:
            level: peak, 0..1; None while nothing is heard on purpose, which leaves the strip as it is.
            now: seconds of a monotonic clock.
        """
        if level is None:
            self._began = None
            return
        self._loudest = max(self._loudest, level)
        if self._began is None:
            self._began = now
        elif now - self._began >= BAR_SECONDS:
            self._heights.append(height(self._loudest))
            self._began, self._loudest = now, 0.0
            self.bars = tuple(self._heights)

    def render_line(self, y: int) -> Strip:
        width = max(0, self.size.width - 2)
        text = "".join(BARS[bar] for bar in self.bars[-width:]) if width else ""
        return Strip([Segment(f" {text:>{width}} ")]).adjust_cell_length(self.size.width).apply_style(self.rich_style)


def height(level: float) -> int:
    """The index of the bar for a peak of 0..1: equal steps of decibels."""
    db = 20 * math.log10(level) if level > 0 else FLOOR_DB
    return max(0, min(len(BARS) - 1, math.ceil((db - FLOOR_DB) / -FLOOR_DB * (len(BARS) - 1))))
