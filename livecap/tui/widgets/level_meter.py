"""The level of the sound on one row: LevelMeter shows it now, LevelStrip the last half minute."""

import math
from collections import deque
from itertools import groupby
from operator import itemgetter

from rich.cells import cell_len
from rich.segment import Segment
from textual.reactive import reactive
from textual.strip import Strip
from textual.widget import Widget

from livecap.text.safety import printable

FLOOR_DB = -60.0
HOLD_SECONDS = 1.5
"""The mark of the highest peak stays this long before it falls."""
FALL_DB_PER_SECOND = 30.0
CLIP_DB = -0.1
CLIP_SHOWN_SECONDS = 2.0
SILENCE_SECONDS = 2.0
"""Exact zeros for this long mean that there is no signal: real sound is never exactly 0."""
MAX_BAR_WIDTH = 40

BARS = " ▁▂▃▄▅▆▇█"
STRIP_FLOOR_DB = -40.0
"""The level of the lowest bar of the strip; above the meter's floor, so that speech moves the bars."""
BAR_SECONDS = 0.5
"""Each bar is the mean level of this time; peaks would be about the same in all speech."""
MAX_BARS = 60


class LevelMeter(Widget):
    """`━━━━━━━━━──┃────  −23 dB`; instead of the number `clip` or `no signal`."""

    COMPONENT_CLASSES = {"meter--bar", "meter--rest", "meter--hold", "meter--number", "meter--mark", "meter--label"}
    DEFAULT_CSS = """
    LevelMeter {
        height: 1;
        width: 1fr;
        & .meter--rest { text-style: dim; }
        & .meter--number { text-style: dim; }
        & .meter--mark { text-style: bold; }
        & .meter--label { text-style: bold; }
    }
    """

    level_db: reactive[int | None] = reactive(None)
    """The peak in whole dBFS, at least `FLOOR_DB`; None while paused, muted or ended."""
    hold_db: reactive[float] = reactive(FLOOR_DB)
    mark: reactive[str] = reactive("")
    label: reactive[str] = reactive("")
    """The label of the track, if there are two."""

    def __init__(self, id: str | None = None) -> None:
        super().__init__(id=id)
        self._held_at = 0.0
        self._clipped_at = -math.inf
        self._silent_since: float | None = None

    def show(self, level: float | None, now: float, live: bool = True) -> None:
        """Show the level.

        Args:
            level: peak, 0..1; None while paused, muted or ended.
            now: seconds of a monotonic clock.
            live: the sound is from a device, so that digital silence is a fault; a recording may be silent.
        """
        if level is None:
            self._silent_since = None
            self.level_db, self.hold_db, self.mark = None, FLOOR_DB, ""
            return
        level_db = max(FLOOR_DB, 20 * math.log10(level)) if level > 0 else FLOOR_DB
        fallen = self.hold_db - FALL_DB_PER_SECOND * max(0.0, now - self._held_at - HOLD_SECONDS)
        if level_db >= fallen:
            self._held_at = now
            self.hold_db = level_db
        elif fallen < self.hold_db:
            self._held_at = now - HOLD_SECONDS
            self.hold_db = fallen
        if level_db >= CLIP_DB:
            self._clipped_at = now
        if level > 0 or not live:
            self._silent_since = None
        elif self._silent_since is None:
            self._silent_since = now
        self.level_db = round(level_db)
        self.mark = self._find_mark(now)

    def _find_mark(self, now: float) -> str:
        if now - self._clipped_at < CLIP_SHOWN_SECONDS:
            return "clip"
        if self._silent_since is not None and now - self._silent_since >= SILENCE_SECONDS:
            return "no signal"
        return ""

    def render_line(self, y: int) -> Strip:
        width, base = self.size.width, self.rich_style
        label = f"{printable(self.label)[:10]} " if self.label else ""
        bar_width = min(MAX_BAR_WIDTH, width - 1 - cell_len(label) - len("  no signal "))
        if bar_width < 4:
            return Strip.blank(width, base)
        filled = 0 if self.level_db is None else _cells(self.level_db, bar_width)
        cells = ["━"] * filled + ["─"] * (bar_width - filled)
        hold = _cells(self.hold_db, bar_width) - 1
        if self.level_db is not None and hold >= 0:
            cells[hold] = "┃"
        style = self.get_component_rich_style
        names = ["meter--bar"] * filled + ["meter--rest"] * (bar_width - filled)
        if self.level_db is not None and hold >= 0:
            names[hold] = "meter--hold"
        segments = [Segment(" "), Segment(label, style("meter--label"))]
        for name, part in groupby(zip(names, cells, strict=True), key=itemgetter(0)):
            segments.append(Segment("".join(cell for _, cell in part), style(name)))
        if self.mark:
            segments.append(Segment(f"  {self.mark}", style("meter--mark")))
        elif self.level_db is not None and self.level_db > FLOOR_DB:
            segments.append(Segment(f"  {self.level_db} dB".replace("-", "−"), style("meter--number")))
        return Strip(segments).adjust_cell_length(width, base).apply_style(base)


def _cells(db: float, width: int) -> int:
    """How many of `width` cells a level in dBFS fills."""
    return min(width, max(0, round((db - FLOOR_DB) / -FLOOR_DB * width)))


class LevelStrip(Widget):
    """A row of small bars, the newest at the right."""

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
        """Add the level to the current bar.

        Args:
            level: peak, 0..1; None while paused, muted or ended, when the strip stays as it is.
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
    """The index in `BARS` for a level of 0..1, in equal steps of decibels."""
    db = 20 * math.log10(level) if level > 0 else STRIP_FLOOR_DB
    return max(0, min(len(BARS) - 1, math.ceil((db - STRIP_FLOOR_DB) / -STRIP_FLOOR_DB * (len(BARS) - 1))))
