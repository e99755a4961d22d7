"""TranscriptView: what was said, stable text bright, partial dim; follows the end until you scroll up."""

from collections.abc import Callable, Iterable
from typing import Any, ClassVar

from rich.segment import Segment
from rich.style import Style
from textual.binding import Binding, BindingType
from textual.events import Click, MouseDown, Resize
from textual.geometry import Size
from textual.message import Message
from textual.reactive import reactive
from textual.scroll_view import ScrollView
from textual.selection import Selection
from textual.strip import Strip

from livecap.archive.clock import SessionClock
from livecap.text.safety import printable
from livecap.transcript import TranscriptUpdate
from livecap.tui.transcript.page import Form, Page
from livecap.tui.transcript.paragraph import Paragraph
from livecap.tui.transcript.row_drawing import RowDrawing
from livecap.tui.transcript.selected_text import selected_text, utterance_at
from livecap.tui.transcript.times import Times, gutter_time
from livecap.tui.transcript.transcript_search import TranscriptSearch

GUTTER_WIDTH = 10
"""The longest time, `10:02:03` or `1:02:03`, and two columns of air."""
MIN_WIDTH_FOR_GUTTER = 60
MAX_TEXT_WIDTH = 100
"""Longer rows are hard to read."""
MIN_HEIGHT_FOR_AIR = 12
"""With fewer rows, utterances follow each other without an empty one."""
PIECE = 800
"""Paragraphs laid out at once after the width changed: some milliseconds."""


class TranscriptView(ScrollView, can_focus=True, inherit_bindings=False):
    """Draws rows from a page. An update redraws the rows that it changes; a step repaints nothing else."""

    COMPONENT_CLASSES = RowDrawing.COMPONENT_CLASSES
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
        & .transcript--mark { text-style: bold; }
        & .transcript--placeholder { text-style: dim; }
        & .transcript--match { text-style: underline; }
        & .transcript--found { text-style: reverse; }
        & .transcript--chosen { text-style: bold; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("home,g", "scroll_home", "To the beginning", show=False, id="beginning"),
        Binding("down,j", "scroll_down", "Scroll down", show=False, id="down"),
        Binding("up,k", "scroll_up", "Scroll up", show=False, id="up"),
        Binding("pagedown", "page_down", "Page down", show=False, id="page-down"),
        Binding("pageup", "page_up", "Page up", show=False, id="page-up"),
    ]

    class Missed(Message):
        """New rows wait below, or none any more."""

        def __init__(self, n_rows: int) -> None:
            super().__init__()
            self.n_rows = n_rows

    class TimeClicked(Message):
        """Somebody clicked beside the text."""

        def __init__(self, track: str, sample: int, index: int) -> None:
            super().__init__()
            self.track = track
            self.sample = sample
            """Where the utterance begins."""
            self.index = index
            """Of the paragraph, from the top."""

    placeholder: reactive[str] = reactive("", init=False)
    """Shown while nothing was said."""
    times: reactive[Times] = reactive(Times.QUIET, init=False)
    compact: reactive[bool] = reactive(False, init=False)
    """No empty rows between utterances."""
    following: reactive[bool] = reactive(True, init=False, repaint=False)
    """The last row stays in sight."""
    n_missed: reactive[int] = reactive(0, init=False, repaint=False)
    """Rows that came since the view stopped following."""
    chosen: reactive[int | None] = reactive(None, init=False)
    """The paragraph a person is at: the current match of a search, or the line to play from."""

    def __init__(self, clock: SessionClock, id: str | None = None) -> None:
        super().__init__(id=id)
        self._clock = clock
        self._page = Page(Form(MAX_TEXT_WIDTH, True, 1))
        self._drawing = RowDrawing(self)
        self._open: dict[tuple[str, int], int] = {}
        """(track, utterance) to the paragraph that may still change."""
        self._left_at = (0, 0)
        """The last paragraph when the view stopped following, and its height then."""
        self._search = TranscriptSearch(self._page)
        self._base_style: Style | None = None
        self._clicked_row = 0

    has_cursor = False
    """Up and down go from paragraph to paragraph."""

    # ---- what the app calls

    @property
    def search(self) -> TranscriptSearch:
        """What is sought, and where it stands."""
        return self._search

    @property
    def clock(self) -> SessionClock:
        return self._clock

    def set_clock(self, clock: SessionClock) -> None:
        """Tell times by another clock: sample 0 is known to be at another time."""
        self._clock = clock
        self.refresh()

    def show(self, updates: Iterable[TranscriptUpdate]) -> None:
        """Show new text of some utterances."""
        moved = [row for update in updates if (row := self._show_one(update)) is not None]
        if moved:
            self._moved(min(moved))

    def follow(self) -> None:
        """Show the end, and stay there."""
        self.following = True
        self._settle()

    def remark(self, remark: Paragraph) -> None:
        """Show a sentence of livecap's own or a person's note, below all that was said so far."""
        self._moved(self._page.top(self._page.append(remark)))

    def load(self, paragraphs: Iterable[Paragraph]) -> None:
        """Show a whole session that is over, from its beginning."""
        self.following = False
        self._page.extend(paragraphs)
        self._left_at = (max(0, len(self._page) - 1), 0)
        self._take_form()

    @property
    def paragraphs(self) -> list[Paragraph]:
        """All of them, from the top; not to be changed."""
        return self._page.paragraphs

    @property
    def rows(self) -> list[tuple[str, str]]:
        """The stable and the partial text of every row, from the first to the last."""
        return [paragraph.row(index) for paragraph in self.paragraphs for index in range(paragraph.height)]

    def seek(self, text: str) -> int:
        """Mark every place where `text` stands, in any case; nothing for an empty one. Returns how many paragraphs."""
        self._search = TranscriptSearch(self._page, text)
        self.chosen = None
        self.refresh()
        return len(self._search.matches)

    def go_to_match(self, step: int) -> int | None:
        """Go to the next (1) or the previous (-1) match; returns its number from 0, None without any."""
        bottom = self._page.nearest(self.scroll_offset.y + self.size.height - 1)
        number = self._search.number_after(step, self.chosen, bottom)
        if number is not None:
            self.choose(self._search.matches[number])
        return number

    def choose(self, index: int) -> None:
        """Mark a paragraph and bring it into sight."""
        index = max(0, min(index, len(self._page) - 1))
        self.chosen = index
        top, height = self._page.top(index), self._page.height(index)
        if not self.scroll_offset.y <= top <= self.scroll_offset.y + self.size.height - height:
            self.scroll_to(y=max(0, top - self.size.height // 3), animate=False)

    # ---- paragraphs and their rows

    def _show_one(self, update: TranscriptUpdate) -> int | None:
        """The first row that moved; where none did, the rows that changed are drawn again here."""
        key = (update.track, update.utterance)
        if key not in self._open:
            if not printable(update.text).strip():
                return None
            self._open[key] = self._page.append(Paragraph(update.track, update.start_sample))
        index = self._open[key]
        if update.final:
            del self._open[key]
        changed = self._page.change(index, update)
        self._search.look_again(index)
        if changed is None:
            return self._page.top(index)
        for row in changed:
            self.refresh_line(row)
        return None

    def _moved(self, first_row: int) -> None:
        """Rows from this one on stand elsewhere."""
        self.virtual_size = Size(self.scrollable_content_region.width, self._page.n_rows)
        self.refresh_lines(first_row, max(1, self.scroll_offset.y + self.size.height - first_row))
        self._settle()

    def _take_form(self) -> None:
        """The width is another one: lay out what is seen now, the rest later, and keep the place of a reader."""
        if not self.scrollable_content_region.width:
            return  # hidden: nothing to lay out for
        left = self._gutter_width or 1
        width = max(1, min(MAX_TEXT_WIDTH, self.scrollable_content_region.width - left - 1))
        form = Form(width, self._gutter_width > 0, self._air)
        if form == self._page.form and self._page.is_laid_out:  # only shown again, or higher: all rows are right
            self.virtual_size = Size(self.scrollable_content_region.width, self._page.n_rows)
            self._settle()
            return
        self.screen.clear_selection()
        self._keeping_the_place(lambda: self._change_form(form))
        self._lay_out_seen()
        self.refresh()
        if not self._page.is_laid_out:
            self.call_later(self._lay_out_more)

    def _change_form(self, form: Form) -> None:
        page, (index, left_height) = self._page, self._left_at
        grown = page.height(index) - left_height if index < len(page) else 0
        page.take_form(form)
        if index < len(page):
            page.lay_out_rows(page.top(index), page.top(index))
            self._left_at = (index, page.height(index) - grown)

    def _lay_out_seen(self) -> None:
        for _ in range(8):
            top = self._page.n_rows - self.size.height if self.following else self.scroll_offset.y
            if not self._page.lay_out_rows(max(0, top), max(0, top) + self.size.height):
                break
        self.virtual_size = Size(self.scrollable_content_region.width, self._page.n_rows)
        self._settle()

    def _lay_out_more(self) -> None:
        if self._page.is_laid_out or not self.is_attached:
            return
        self._keeping_the_place(lambda: self._page.lay_out_some(PIECE))
        self.call_later(self._lay_out_more)

    def _keeping_the_place(self, change: Callable[[], object]) -> None:
        """Do something that moves rows, and have what a person was reading stay where it was."""
        page = self._page
        row = self.scroll_offset.y
        index = page.nearest(row) if len(page) else 0
        into = row - page.top(index) if len(page) else 0
        change()
        self.virtual_size = Size(self.scrollable_content_region.width, page.n_rows)
        if not self.following and len(page):
            place = page.top(index) + min(into, max(0, page.height(index) - 1))
            if place != row:
                self.scroll_to(y=place, animate=False)
        self._settle()

    def _settle(self) -> None:
        """After rows changed: stay at the end, or count what a person has not seen."""
        if self.following:
            if self.scroll_offset.y != self.max_scroll_y:
                self.scroll_to(y=self.max_scroll_y, animate=False)
        else:
            index, height = self._left_at
            self.n_missed = max(0, self._page.n_text_rows(index) - height)

    # ---- geometry

    @property
    def _gutter_width(self) -> int:
        """0 where labels stand before the text instead."""
        return GUTTER_WIDTH if self.app.size.width >= MIN_WIDTH_FOR_GUTTER else 0

    @property
    def _air(self) -> int:
        """Empty rows between paragraphs."""
        return 1 if self.app.size.height >= MIN_HEIGHT_FOR_AIR and not self.compact else 0

    # ---- drawing

    def render_line(self, y: int) -> Strip:
        row = self.scroll_offset.y + y
        if self._base_style is None:
            self._base_style = self.rich_style  # asks every ancestor: dear for each of forty rows
        width, base = self.scrollable_content_region.width, self._base_style
        found = self._page.at(row)
        if not self._page.n_rows:
            segments = self._placeholder_row(y)
        elif found is not None:
            index, inner = found
            times = self._gutter_of(index)
            segments = self._drawing.segments(self.paragraphs[index], index, inner, row, times, self._gutter_width)
        else:
            segments = []
        return Strip(segments).adjust_cell_length(width, base).apply_style(base)

    def _gutter_of(self, index: int) -> str:
        """The time beside a paragraph: where it is another one, where the speaker changed, after a remark."""
        paragraph = self.paragraphs[index]
        if paragraph.kind == "remark":
            return ""
        time = self._time_of(paragraph)
        always = self.times in (Times.FULL, Times.ELAPSED) or not self._clock.live
        if always or paragraph.begins_turn or paragraph.kind == "mark":
            return time
        return time if time != self._time_of(self.paragraphs[index - 1]) else ""

    def _time_of(self, paragraph: Paragraph) -> str:
        return gutter_time(self._clock, paragraph.track, paragraph.start_sample, self.times)

    def _placeholder_row(self, y: int) -> list[Segment]:
        if y != 1:
            return []
        style = self.get_component_rich_style("transcript--placeholder")
        return [Segment(" " * (self._gutter_width or 1)), Segment(self.placeholder, style)]

    # ---- selection and mouse

    def get_selection(self, selection: Selection) -> tuple[str, str] | None:
        """The selected text, a line for each utterance, without the gutter and without the breaks of rows."""
        return selected_text(self._page, selection), "\n"

    def text_select_all(self) -> None:
        """Two clicks select the utterance below them, not hours of text."""
        if selection := utterance_at(self._page, self._clicked_row):
            self.screen.selections = {self: selection}

    def on_mouse_down(self, event: MouseDown) -> None:
        self._clicked_row = self.scroll_offset.y + event.y - self.styles.padding.top

    def selection_updated(self, selection: Selection | None) -> None:
        self.refresh()

    def on_click(self, event: Click) -> None:
        row = self.scroll_offset.y + event.y
        found = self._page.at(row - self.styles.padding.top)
        if found is not None and event.x < self._gutter_width:
            paragraph = self.paragraphs[found[0]]
            self.post_message(self.TimeClicked(paragraph.track, paragraph.start_sample, found[0]))

    # ---- keys

    def action_scroll_down(self) -> None:
        if self.has_cursor:
            self.choose((-1 if self.chosen is None else self.chosen) + 1)
        else:
            super().action_scroll_down()

    def action_scroll_up(self) -> None:
        if self.has_cursor:
            self.choose((1 if self.chosen is None else self.chosen) - 1)
        else:
            super().action_scroll_up()

    # ---- what changes

    def notify_style_update(self) -> None:
        super().notify_style_update()
        self._base_style = None

    def _scroll_to(
        self, x: float | None = None, y: float | None = None, *, animate: bool = True, **options: Any
    ) -> bool:
        """At once: text that comes during an animation would pull a person back to the end."""
        return super()._scroll_to(x, y, animate=False, **options)

    def on_resize(self, event: Resize) -> None:
        self._take_form()

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        super().watch_scroll_y(old_value, new_value)
        self.following = round(new_value) >= self.max_scroll_y
        if not self._page.is_laid_out:
            top = round(new_value)
            self._keeping_the_place(lambda: self._page.lay_out_rows(top, top + self.size.height))

    def watch_following(self, following: bool) -> None:
        if following:
            self.n_missed = 0
        elif len(self._page):
            last = len(self._page) - 1
            self._left_at = (last, self._page.height(last))

    def watch_n_missed(self, n_rows: int) -> None:
        self.post_message(self.Missed(n_rows))

    def watch_compact(self) -> None:
        self._take_form()

    def watch_placeholder(self) -> None:
        if not self._page.n_rows:
            self.refresh_lines(self.scroll_offset.y, 3)
