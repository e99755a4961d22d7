"""TranscriptView: what was said, stable text bright, partial dim; follows the end until you scroll up."""

from bisect import bisect_right
from collections.abc import Iterable
from typing import Any, ClassVar

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from textual.binding import Binding, BindingType
from textual.events import Resize
from textual.geometry import Size
from textual.message import Message
from textual.reactive import reactive
from textual.scroll_view import ScrollView
from textual.strip import Strip

from livecap.session.clock import SessionClock
from livecap.text_safety import printable
from livecap.transcript import TranscriptUpdate
from livecap.tui.paragraph import Paragraph
from livecap.tui.times import Times, gutter_time

GUTTER_WIDTH = 10
"""The longest time, `10:02:03` or `1:02:03`, and two columns of air."""
MIN_WIDTH_FOR_GUTTER = 60
MAX_TEXT_WIDTH = 100
"""Longer rows are hard to read."""
MIN_HEIGHT_FOR_AIR = 12
"""With fewer rows, utterances follow each other without an empty one."""


class TranscriptView(ScrollView, can_focus=True, inherit_bindings=False):
    """Draws rows from a cache. An update redraws the rows that it changes; a step repaints nothing else."""

    ALLOW_SELECT = False
    COMPONENT_CLASSES = {
        "transcript--stable",
        "transcript--partial",
        "transcript--time",
        "transcript--label",
        "transcript--remark",
        "transcript--placeholder",
    }
    DEFAULT_CSS = """
    TranscriptView {
        height: 1fr;
        overflow-x: hidden;
        overflow-y: scroll;
        scrollbar-size-vertical: 1;
        & .transcript--partial { text-style: dim italic; }
        & .transcript--time { text-style: dim; }
        & .transcript--label { text-style: bold; }
        & .transcript--remark { text-style: dim; }
        & .transcript--placeholder { text-style: dim; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("home,g", "scroll_home", "To the beginning", show=False),
        Binding("down,j", "scroll_down", "Scroll down", show=False),
        Binding("up,k", "scroll_up", "Scroll up", show=False),
        Binding("pagedown", "page_down", "Page down", show=False),
        Binding("pageup", "page_up", "Page up", show=False),
    ]

    class Missed(Message):
        """New rows wait below, or none any more."""

        def __init__(self, n_rows: int) -> None:
            super().__init__()
            self.n_rows = n_rows

    placeholder: reactive[str] = reactive("", init=False)
    """Shown while nothing was said."""
    times: reactive[Times] = reactive(Times.QUIET, init=False)
    following: reactive[bool] = reactive(True, init=False)
    """The last row stays in sight."""
    n_missed: reactive[int] = reactive(0, init=False)
    """Rows that came since the view stopped following."""

    def __init__(self, clock: SessionClock, id: str | None = None) -> None:
        super().__init__(id=id)
        self._clock = clock
        self._paragraphs: list[Paragraph] = []
        self._bottoms: list[int] = []
        """Of each paragraph: the row below its last one."""
        self._open: dict[tuple[str, int], int] = {}
        """(track, utterance) to the paragraph that may still change."""
        self._left_at = (0, 0)
        """The last paragraph when the view stopped following, and its height then."""

    # ---- what the app calls

    def set_clock(self, clock: SessionClock) -> None:
        """Tell times by another clock: sample 0 is known to be at another time."""
        self._clock = clock
        self._lay_out()

    def show(self, updates: Iterable[TranscriptUpdate]) -> None:
        """Show new text of some utterances."""
        moved = [index for update in updates if (index := self._show_one(update)) is not None]
        if moved:
            self._arrange(min(moved))
            self._settle()

    def follow(self) -> None:
        """Show the end, and stay there."""
        self.following = True
        self._settle()

    def remark(self, track: str, sample: int, text: str) -> None:
        """Show a sentence of livecap's own, below all that was said so far."""
        remark = Paragraph(track, sample, stable=printable(text), is_remark=True)
        self._append(remark)
        remark.lay_out(self._text_width)
        self._arrange(len(self._paragraphs) - 1)
        self._settle()

    @property
    def rows(self) -> list[tuple[str, str]]:
        """The stable and the partial text of every row, from the first to the last."""
        return [paragraph.row(index) for paragraph in self._paragraphs for index in range(paragraph.height)]

    # ---- paragraphs and their rows

    def _show_one(self, update: TranscriptUpdate) -> int | None:
        """The paragraph, where its height is another one; what else changed is drawn again here."""
        key = (update.track, update.utterance)
        if key not in self._open:
            if not printable(update.text).strip():
                return None
            self._open[key] = len(self._paragraphs)
            self._append(Paragraph(update.track, update.start_sample))
        index = self._open[key]
        if update.final:
            del self._open[key]
        paragraph = self._paragraphs[index]
        before = [paragraph.row(row) for row in range(paragraph.height)]
        paragraph.change(update, self._text_width)
        if paragraph.height != len(before):
            return index
        first = self._bottoms[index] - paragraph.height
        for row, drawn in enumerate(before):
            if paragraph.row(row) != drawn:
                self.refresh_line(first + row)
        return None

    def _append(self, paragraph: Paragraph) -> None:
        self._paragraphs.append(paragraph)
        self._bottoms.append(self._bottoms[-1] if self._bottoms else 0)
        self._describe(len(self._paragraphs) - 1)

    def _describe(self, index: int) -> None:
        """Decide the time and the label beside a paragraph: where they changed, and after a remark."""
        paragraph = self._paragraphs[index]
        paragraph.time = gutter_time(self._clock, paragraph.track, paragraph.start_sample, self.times)
        previous = self._paragraphs[index - 1] if index else None
        spoken = previous is not None and not previous.is_remark
        turn = previous is None or not spoken or previous.track != paragraph.track
        shown_again = self.times is Times.FULL or not self._clock.live
        time = paragraph.time if previous is None or turn or shown_again or previous.time != paragraph.time else ""
        label = printable(paragraph.track) if turn else ""
        paragraph.gutter, paragraph.prefix = (), ""
        if paragraph.is_remark:
            return
        if self._gutter_width:
            paragraph.gutter = tuple(part for part in (time, label) if part)
        elif label:
            paragraph.prefix = f"{label}: "

    def _arrange(self, first: int) -> None:
        """Move the paragraphs from `first` on to where they belong, after a height changed."""
        bottom = self._bottoms[first - 1] if first else 0
        redraw_from = bottom
        for index in range(first, len(self._paragraphs)):
            height = self._paragraphs[index].height
            if height:
                bottom += height + (self._air if bottom else 0)
            self._bottoms[index] = bottom
        self.virtual_size = Size(self.scrollable_content_region.width, bottom)
        self.refresh_lines(redraw_from, max(1, self.scroll_offset.y + self.size.height - redraw_from))

    def _lay_out(self) -> None:
        """Wrap everything anew and keep what a person was reading where it was."""
        top = bisect_right(self._bottoms, self.scroll_offset.y)
        into = self.scroll_offset.y - (self._bottoms[top - 1] if top else 0)
        left_index, left_height = self._left_at
        grown = self._paragraphs[left_index].height - left_height if left_index < len(self._paragraphs) else 0
        for index, paragraph in enumerate(self._paragraphs):
            self._describe(index)
            paragraph.lay_out(self._text_width)
        self._arrange(0)
        if left_index < len(self._paragraphs):
            self._left_at = (left_index, self._paragraphs[left_index].height - grown)
        if not self.following and self._bottoms:
            above = self._bottoms[top - 1] if top else 0
            rows = self._bottoms[min(top, len(self._bottoms) - 1)] - above
            self.scroll_to(y=above + min(into, max(0, rows - 1)), animate=False)
        self._settle()
        self.refresh()

    def _settle(self) -> None:
        """After rows changed: stay at the end, or count what a person has not seen."""
        if self.following:
            self.scroll_to(y=self.max_scroll_y, animate=False)
        else:
            index, height = self._left_at
            rows = sum(paragraph.height for paragraph in self._paragraphs[index:])
            self.n_missed = max(0, rows - height)

    # ---- geometry

    @property
    def _gutter_width(self) -> int:
        """0 where labels stand before the text instead."""
        if self.times is Times.HIDDEN or self.app.size.width < MIN_WIDTH_FOR_GUTTER:
            return 0
        return GUTTER_WIDTH

    @property
    def _text_left(self) -> int:
        return self._gutter_width or 1

    @property
    def _text_width(self) -> int:
        return max(1, min(MAX_TEXT_WIDTH, self.scrollable_content_region.width - self._text_left - 1))

    @property
    def _air(self) -> int:
        """Empty rows between paragraphs."""
        return 1 if self.app.size.height >= MIN_HEIGHT_FOR_AIR else 0

    # ---- drawing

    def render_line(self, y: int) -> Strip:
        row = self.scroll_offset.y + y
        index = bisect_right(self._bottoms, row)
        width = self.scrollable_content_region.width
        base = self.rich_style
        if not self._bottoms or not self._bottoms[-1]:
            segments = self._placeholder_row(y)
        elif index < len(self._paragraphs):
            paragraph = self._paragraphs[index]
            segments = self._paragraph_row(paragraph, row - (self._bottoms[index] - paragraph.height))
        else:
            segments = []
        return Strip(segments).adjust_cell_length(width, base).apply_style(base)

    def _placeholder_row(self, y: int) -> list[Segment]:
        if y != 1:
            return []
        style = self.get_component_rich_style("transcript--placeholder")
        return [Segment(" " * self._text_left), Segment(self.placeholder, style)]

    def _paragraph_row(self, paragraph: Paragraph, row: int) -> list[Segment]:
        if row < 0:
            return []
        style = self.get_component_rich_style
        stable, partial = paragraph.row(row)
        segments = [self._gutter_segment(paragraph, row)]
        if row == 0 and paragraph.prefix:
            segments.append(Segment(paragraph.prefix, style("transcript--label")))
        segments.append(Segment(stable, style("transcript--remark" if paragraph.is_remark else "transcript--stable")))
        segments.append(Segment(partial, style("transcript--partial")))
        return segments

    def _gutter_segment(self, paragraph: Paragraph, row: int) -> Segment:
        gutter = self._gutter_width
        if not gutter or row >= len(paragraph.gutter):
            return Segment(" " * self._text_left)
        text = paragraph.gutter[row]
        is_time = row == 0 and text == paragraph.time
        if cell_len(text) > gutter - 2:
            text = set_cell_size(text, gutter - 3) + "…"
        style = self.get_component_rich_style("transcript--time" if is_time else "transcript--label")
        return Segment(" " * (gutter - 2 - cell_len(text)) + text + "  ", style)

    # ---- what changes

    def _scroll_to(
        self, x: float | None = None, y: float | None = None, *, animate: bool = True, **options: Any
    ) -> bool:
        """At once: text that comes during an animation would pull a person back to the end."""
        return super()._scroll_to(x, y, animate=False, **options)

    def on_resize(self, event: Resize) -> None:
        self._lay_out()

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        super().watch_scroll_y(old_value, new_value)
        self.following = round(new_value) >= self.max_scroll_y

    def watch_following(self, following: bool) -> None:
        if following:
            self.n_missed = 0
        elif self._paragraphs:
            self._left_at = (len(self._paragraphs) - 1, self._paragraphs[-1].height)

    def watch_n_missed(self, n_rows: int) -> None:
        self.post_message(self.Missed(n_rows))

    def watch_times(self) -> None:
        self._lay_out()

    def watch_placeholder(self) -> None:
        if not self._bottoms or not self._bottoms[-1]:
            self.refresh_lines(self.scroll_offset.y, 3)
