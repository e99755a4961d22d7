"""TranscriptView: the transcript as a scrolling text, stable text bright and partial text dim."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, ClassVar

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual.binding import BindingType
from textual.events import Click, MouseDown, Resize
from textual.geometry import Offset, Size
from textual.message import Message
from textual.reactive import reactive
from textual.scroll_view import ScrollView
from textual.selection import Selection
from textual.strip import Strip

from livecap.archive.clock import SessionClock
from livecap.archive.speakers import Speakers
from livecap.text.safety import printable
from livecap.transcript import SessionEvent, TranscriptUpdate
from livecap.tui.keys import TRANSCRIPT
from livecap.tui.transcript.labels import Labels
from livecap.tui.transcript.page import Form, Page
from livecap.tui.transcript.paragraph import Ended, Paragraph
from livecap.tui.transcript.row_drawing import TIME_WIDTH, draw_row
from livecap.tui.transcript.times import Times, gutter_time
from livecap.tui.transcript.transcript_search import TranscriptSearch

MAX_LABEL_WIDTH = 8
"""Columns; longer labels are cut."""
N_COLOURS = 6
"""Colours of labels."""
MIN_WIDTH_FOR_GUTTER = 60
MAX_TEXT_WIDTH = 100
"""Columns of text; longer rows are hard to read."""
MIN_HEIGHT_FOR_AIR = 12
"""With fewer rows, there are no empty rows between utterances."""
PIECE = 800
"""Paragraphs laid out in one go after a change of width; takes some milliseconds."""


class TranscriptView(ScrollView, can_focus=True, inherit_bindings=False):
    """Draws the rows of a page, and follows its end until the user scrolls up. An update redraws changed rows only."""

    COMPONENT_CLASSES = {
        "transcript--stable",
        "transcript--partial",
        "transcript--time",
        "transcript--label-0",
        "transcript--label-1",
        "transcript--label-2",
        "transcript--label-3",
        "transcript--label-4",
        "transcript--label-5",
        "transcript--remark",
        "transcript--mark",
        "transcript--placeholder",
        "transcript--match",
        "transcript--found",
        "transcript--chosen",
    }
    DEFAULT_CSS = """
    TranscriptView {
        height: 1fr;
        overflow-x: hidden;
        overflow-y: scroll;
        scrollbar-size-vertical: 1;
        & .transcript--partial { text-style: dim italic; }
        & .transcript--time { text-style: dim; }
        & .transcript--label-0 { text-style: bold; }
        & .transcript--label-1 { text-style: bold; }
        & .transcript--label-2 { text-style: bold; }
        & .transcript--label-3 { text-style: bold; }
        & .transcript--label-4 { text-style: bold; }
        & .transcript--label-5 { text-style: bold; }
        & .transcript--remark { text-style: dim; }
        & .transcript--mark { text-style: bold; }
        & .transcript--placeholder { text-style: dim; }
        & .transcript--match { text-style: underline; }
        & .transcript--found { text-style: reverse; }
        & .transcript--chosen { text-style: bold; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [*TRANSCRIPT]

    class Missed(Message):
        """The number of unseen rows below the screen changed."""

        def __init__(self, n_rows: int) -> None:
            super().__init__()
            self.n_rows = n_rows

    class TimeClicked(Message):
        """The user clicked the time beside an utterance."""

        def __init__(self, track: str, sample: int, index: int) -> None:
            super().__init__()
            self.track = track
            self.sample = sample
            """The beginning of the utterance."""
            self.index = index
            """The index of its paragraph, from the top."""

    class SpeakerClicked(Message):
        """The user clicked the label of a speaker."""

        def __init__(self, number: int) -> None:
            super().__init__()
            self.number = number

    placeholder: reactive[str] = reactive("", init=False)
    """Shown until there is text."""
    times: reactive[Times] = reactive(Times.QUIET, init=False)
    compact: reactive[bool] = reactive(False, init=False)
    """No empty rows between utterances."""
    following: reactive[bool] = reactive(True, init=False, repaint=False)
    """The last row stays visible."""
    n_missed: reactive[int] = reactive(0, init=False, repaint=False)
    """Rows added since the view stopped following."""
    chosen: reactive[int | None] = reactive(None, init=False)
    """The current paragraph: the current match of a search, or the line to play from."""

    def __init__(self, clock: SessionClock, id: str | None = None) -> None:
        super().__init__(id=id)
        self.clock = clock
        """Converts samples to times; change it with `set_clock`."""
        self._page = Page(Form(MAX_TEXT_WIDTH, True, 1))
        self._open: dict[tuple[str, int], Paragraph] = {}
        """(track, utterance) to its paragraph, for utterances that may still change."""
        self.labels = Labels()
        """Who said the utterances of a running session."""
        self._ended: dict[str, Ended] = {}
        """Track to the end of its last utterance, a sample."""
        self._left_at = (0, 0)
        """The index of the last paragraph when the view stopped following, and its height then."""
        self.search = TranscriptSearch(self._page)
        """The current search; changed by `find`."""
        self._labels: list[str] = []
        """The labels of tracks and speakers, in the order of their colours."""
        self._base_style: Style | None = None
        self._clicked_row = 0

    has_cursor = False
    """Up and down move from paragraph to paragraph instead of scrolling."""

    # ---- called by screens

    def set_clock(self, clock: SessionClock) -> None:
        """Show times by another clock, after the start of the session became known."""
        self.clock = clock
        self.refresh()

    def set_labels(self, labels: Iterable[str]) -> None:
        """Make space for the labels of all tracks, so that text need not move when the second one speaks."""
        for label in labels:
            self._know(label)

    def show(self, updates: Iterable[TranscriptUpdate]) -> None:
        """Show the new text of some utterances."""
        moved = [row for update in updates if (row := self._show_one(update)) is not None]
        if moved:
            self._moved(min(moved))

    def label(self, event: SessionEvent) -> None:
        """Take a fact about speakers of a running session."""
        said = self.labels.take(event)
        if said:
            self._put_below(said)
        self._show_labels(said)

    def relabel(self, speakers: Speakers) -> None:
        """Show the names of a past session's speakers after one was changed."""
        self.labels.speakers = speakers
        self._show_labels([])

    def _show_labels(self, said: Sequence[Paragraph]) -> None:
        """Give all paragraphs their labels, and draw those that changed.

        Args:
            said: paragraphs that changed anyway.
        """
        changed = self.labels.show(self.paragraphs)
        for index in changed:
            self._know(self.paragraphs[index].speaker)
        if said or changed:
            indices = {*changed, *map(self._page.index_of, said)}
            self._keeping_the_place(lambda: self._page.relabel(indices))
            for index in indices:
                self.search.look_again(index)
            self.refresh()

    def _put_below(self, said: Sequence[Paragraph]) -> None:
        """Add the new ones of these paragraphs of one utterance, each below the one before it."""
        at = self._page.index_of(said[0])
        for number, paragraph in enumerate(said):
            known = next((i for i in range(len(self._page) - 1, at - 1, -1) if self.paragraphs[i] is paragraph), None)
            if known is None:
                known = self._page.index_of(said[number - 1]) + 1
                self._page.insert_at(known, paragraph)
                self._inserted(known)
            at = known

    def follow(self) -> None:
        """Scroll to the end and follow new text."""
        self.following = True
        self._keep_at_end()

    def remark(self, remark: Paragraph, at_end: bool = False) -> None:
        """Add a remark or a mark at its place in time, or below everything."""
        n_rows = self._page.n_rows
        top = self._page.top(self._insert(remark, at_end))
        self._keep_place(top, n_rows)
        self._moved(top)

    def load(self, paragraphs: Iterable[Paragraph]) -> None:
        """Show a whole past session, from its beginning."""
        self.following = False
        self._page.extend(paragraphs)
        self.set_labels(dict.fromkeys(paragraph.speaker for paragraph in self.paragraphs))
        self._left_at = (max(0, len(self._page) - 1), 0)
        self._take_form()

    @property
    def paragraphs(self) -> list[Paragraph]:
        """All paragraphs, from the top; not to be changed."""
        return self._page.paragraphs

    @property
    def rows(self) -> list[tuple[str, str]]:
        """The stable and the partial text of every row, from the first to the last."""
        return [paragraph.row(index) for paragraph in self.paragraphs for index in range(paragraph.height)]

    def find(self, text: str) -> int:
        """Highlight all matches of `text`; none if it is empty. Returns the number of paragraphs."""
        self.search = TranscriptSearch(self._page, text)
        self.chosen = None
        self.refresh()
        return len(self.search.matches)

    def go_to_match(self, step: int) -> int | None:
        """Go to the next (1), previous (-1) or current (0) match. Returns its number from 0; None without matches."""
        bottom = self._page.nearest(self.scroll_offset.y + self.size.height - 1)
        number = self.search.number_after(step, self.chosen, bottom)
        if number is not None:
            self.choose(self.search.matches[number])
        return number

    def choose(self, index: int) -> None:
        """Make a paragraph the current one, and scroll to it; nothing without paragraphs."""
        if not self.paragraphs:
            return
        index = max(0, min(index, len(self._page) - 1))
        self.chosen = index
        top, height = self._page.top(index), self._page.height(index)
        if not self.scroll_offset.y <= top <= self.scroll_offset.y + self.size.height - height:
            self.scroll_to(y=max(0, top - self.size.height // 3), animate=False)

    # ---- layout

    def _show_one(self, update: TranscriptUpdate) -> int | None:
        """Show one update. Returns the first row that moved; if none moved, redraws the changed rows."""
        key = (update.track, update.utterance)
        if key not in self._open:
            if not printable(update.text).strip():
                return None
            before = self._ended.get(update.track)
            continues = before is not None and before.goes_on(printable(update.text), update.start_sample)
            self._open[key] = Paragraph(update.track, update.start_sample, continues=continues)
            self._insert(self._open[key])
        self.labels.said(update, self._open[key])
        index = self._page.index_of(self._open[key])
        if update.final:
            del self._open[key]
            self._ended[update.track] = Ended(printable(update.stable), update.end_sample)
        page, n_rows = self._page, self._page.n_rows
        row_below = page.top(index) + page.height(index)
        changed = page.change(index, update)
        self.search.look_again(index)
        if changed is None:
            self._keep_place(row_below, n_rows)
            return page.top(index)
        for row in changed:
            self.refresh_line(row)
        return None

    def _insert(self, paragraph: Paragraph, at_end: bool = False) -> int:
        """Add a paragraph, as `Page.insert`. Returns its index."""
        self._know(paragraph.track)
        index = self._page.insert(paragraph, at_end)
        self._inserted(index)
        return index

    def _inserted(self, index: int) -> None:
        """A paragraph was added at this index."""
        if index < len(self._page) - 1:  # not at the end
            (left, left_height), chosen = self._left_at, self.chosen
            self._left_at = (left + (left >= index), left_height)
            if chosen is not None and chosen >= index:
                self.set_reactive(TranscriptView.chosen, chosen + 1)
        self.search.inserted(index)

    def _keep_place(self, moved_row: int, n_rows_before: int) -> None:
        """After the rows from `moved_row` on moved: if the user reads below that, scroll along."""
        top = self.scroll_offset.y
        if not self.following and moved_row <= top:
            self.virtual_size = Size(self.scrollable_content_region.width, self._page.n_rows)
            self.scroll_to(y=top + self._page.n_rows - n_rows_before, animate=False)

    def _know(self, label: str) -> None:
        """Give a new label its colour and its columns."""
        if label and label not in self._labels:
            self._labels.append(label)
            self._take_form()

    def _moved(self, first_row: int) -> None:
        """Redraw the rows from `first_row` on, after they moved."""
        self.virtual_size = Size(self.scrollable_content_region.width, self._page.n_rows)
        self.refresh_lines(first_row, max(1, self.scroll_offset.y + self.size.height - first_row))
        self._keep_at_end()

    def _take_form(self) -> None:
        """After a change of layout: lay out what is visible now, the rest later, and keep the reader's place."""
        if not self.scrollable_content_region.width:
            return  # hidden
        left = self._gutter_width or 1
        width = max(1, min(MAX_TEXT_WIDTH, self.scrollable_content_region.width - left - 1))
        form = Form(width, self._gutter_width > 0, self._air)
        if form == self._page.form and self._page.is_laid_out:  # only shown again, or taller
            self.virtual_size = Size(self.scrollable_content_region.width, self._page.n_rows)
            self._keep_at_end()
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
        self._keep_at_end()

    def _lay_out_more(self) -> None:
        if self._page.is_laid_out or not self.is_attached:
            return
        self._keeping_the_place(lambda: self._page.lay_out_some(PIECE))
        self.call_later(self._lay_out_more)

    def _keeping_the_place(self, change: Callable[[], object]) -> None:
        """Call `change`, which moves rows, and keep the text that the user was reading in place."""
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
        self._keep_at_end()

    def _keep_at_end(self) -> None:
        """After rows changed: scroll to the end if following, else count the unseen rows."""
        if self.following:
            if self.scroll_offset.y != self.max_scroll_y:
                self.scroll_to(y=self.max_scroll_y, animate=False)
        else:
            index, height = self._left_at
            self.n_missed = max(0, self._page.n_text_rows(index) - height)

    # ---- geometry

    @property
    def _gutter_width(self) -> int:
        """0 if the terminal is too narrow for a gutter."""
        if self.app.size.width < MIN_WIDTH_FOR_GUTTER:
            return 0
        return TIME_WIDTH + 2 + (self._label_width + 1 if self._labels else 0)

    @property
    def _label_width(self) -> int:
        return min(MAX_LABEL_WIDTH, max((cell_len(printable(label)) for label in self._labels), default=0))

    @property
    def _air(self) -> int:
        """Empty rows between paragraphs."""
        return 1 if self.app.size.height >= MIN_HEIGHT_FOR_AIR and not self.compact else 0

    # ---- drawing

    def render_line(self, y: int) -> Strip:
        row = self.scroll_offset.y + y
        if self._base_style is None:
            self._base_style = self.rich_style  # asks all ancestors: too slow for every row
        width, base = self.scrollable_content_region.width, self._base_style
        found = self._page.at(row)
        if not self._page.n_rows:
            segments = self._placeholder_row(y)
        elif found is not None:
            index, inner = found
            selection = self.text_selection
            segments = draw_row(
                self.paragraphs[index],
                inner,
                row,
                self._row_style,
                self._label_name(self.paragraphs[index].label),
                time=self._gutter_of(index),
                label_width=self._label_width,
                has_gutter=self._gutter_width > 0,
                chosen=index == self.chosen,
                marked=self.search.marked,
                selected=selection.get_span(row) if selection is not None else None,
            )
        else:
            segments = []
        return Strip(segments).adjust_cell_length(width, base).apply_style(base)

    def _row_style(self, name: str) -> Style:
        if name == "selection":
            return self.screen.get_component_rich_style("screen--selection")
        return self.get_component_rich_style(f"transcript--{name}")

    def _label_name(self, label: str) -> str:
        """The style of a label: six colours in turn."""
        return f"label-{self._labels.index(label) % N_COLOURS if label in self._labels else 0}"

    def _gutter_of(self, index: int) -> str:
        """The time beside a paragraph; in quiet mode only if it differs, or after a change of speaker or a remark."""
        paragraph = self.paragraphs[index]
        if paragraph.kind == "remark":
            return ""
        time = self._time_of(paragraph)
        always = self.times in (Times.FULL, Times.ELAPSED) or not self.clock.live
        if always or paragraph.begins_turn or paragraph.kind == "mark":
            return time
        return time if time != self._time_of(self.paragraphs[index - 1]) else ""

    def _time_of(self, paragraph: Paragraph) -> str:
        return gutter_time(self.clock, paragraph.track, paragraph.start_sample, self.times)

    def _placeholder_row(self, y: int) -> list[Segment]:
        if y != 1:
            return []
        return [Segment(" " * (self._gutter_width or 1)), Segment(self.placeholder, self._row_style("placeholder"))]

    # ---- selection and mouse

    def get_selection(self, selection: Selection) -> tuple[str, str] | None:
        """The selected text, one line per utterance, without the gutter and the line breaks of the screen."""
        page = self._page
        lines: dict[int, tuple[int, int]] = {}
        first = selection.start.y if selection.start else 0
        last = selection.end.y if selection.end else page.n_rows
        for row in range(first, min(last, page.n_rows) + 1):
            found, span = page.at(row), selection.get_span(row)
            if found is None or span is None:
                continue
            index, inner = found
            start, end = self.paragraphs[index].span(inner)
            begin = min(end, start + span[0])
            stop = end if span[1] < 0 else min(end, start + span[1])
            if stop > begin:
                known = lines.get(index)
                lines[index] = (known[0] if known else begin, stop)
        texts = [self.paragraphs[index].text[begin:stop].strip() for index, (begin, stop) in lines.items()]
        return "\n".join(text for text in texts if text), "\n"

    def text_select_all(self) -> None:
        """Select the utterance under a double click, instead of hours of text."""
        found = self._page.at(self._clicked_row)
        if found is None:
            return
        index, _ = found
        top, n_rows = self._page.top(index), len(self.paragraphs[index].rows.starts)
        start, end = self.paragraphs[index].span(n_rows - 1)
        self.screen.selections = {self: Selection(Offset(0, top), Offset(end - start, top + n_rows - 1))}

    def on_mouse_down(self, event: MouseDown) -> None:
        self._clicked_row = self.scroll_offset.y + event.y - self.styles.padding.top

    def selection_updated(self, selection: Selection | None) -> None:
        self.refresh()

    def on_click(self, event: Click) -> None:
        row = self.scroll_offset.y + event.y
        found = self._page.at(row - self.styles.padding.top)
        if found is not None and event.x < self._gutter_width:
            paragraph = self.paragraphs[found[0]]
            if event.x > TIME_WIDTH and paragraph.speaker and paragraph.number is not None:
                self.post_message(self.SpeakerClicked(paragraph.number))
                return
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

    # ---- reactions

    def notify_style_update(self) -> None:
        super().notify_style_update()
        self._base_style = None

    def _scroll_to(
        self, x: float | None = None, y: float | None = None, *, animate: bool = True, **options: Any
    ) -> bool:
        """Scroll without animation: text that arrives during one would pull the user back to the end."""
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
