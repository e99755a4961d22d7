"""ReadingScreen: what a running session and a past one have in common: text to read, to search and to copy."""

from collections.abc import Callable
from typing import Any, ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.screen import Screen

from livecap.archive.clock import SessionClock
from livecap.tui.bindings import READING
from livecap.tui.transcript.times import Times, next_times
from livecap.tui.transcript.transcript_view import TranscriptView
from livecap.tui.widgets.ask_line import AskLine
from livecap.tui.widgets.key_hints import KeyHints
from livecap.tui.widgets.notice_line import NoticeLine

MIN_HEIGHT = 15
"""Fewer rows have no meter and no key hints."""


class ReadingScreen(Screen[Any]):
    """A transcript with search, copy and times; what else there is comes from the screen that is made of it."""

    AUTO_FOCUS = "TranscriptView"
    BINDINGS: ClassVar[list[BindingType]] = [*READING]

    def __init__(self, clock: SessionClock, now: Callable[[], float]) -> None:
        """
        Args:
            clock: of the session, for the times beside the text.
            now: seconds that only grow, for what leaves by itself.
        """
        super().__init__()
        self._times = clock
        self._now = now

    def compose_reading(self) -> ComposeResult:
        """The transcript, and the lines below it."""
        yield TranscriptView(self._times, id="transcript")
        yield AskLine(id="ask")
        yield NoticeLine(id="notice")

    def on_mount(self) -> None:
        self._view = self.query_one(TranscriptView)
        self._notice = self.query_one(NoticeLine)
        self._ask_line = self.query_one(AskLine)
        look = self.app.settings.screen  # type: ignore[attr-defined]
        self._view.set_reactive(TranscriptView.times, Times(look.times))
        self._view.set_reactive(TranscriptView.compact, look.compact)
        self.show_parts()

    def on_resize(self) -> None:
        self.show_parts()

    def show_parts(self) -> None:
        """Show what has room and is wanted. By widget: a class on the screen would have all styles found anew."""
        self.query_one(KeyHints).display = self.has_room
        self._view.styles.padding = (1, 0) if self.has_room else 0

    @property
    def has_room(self) -> bool:
        """For more than text and status."""
        return self.app.size.height >= MIN_HEIGHT and not self._view.compact

    def tell(self, sentence: str, severity: str = "info") -> None:
        """Say something at the bottom; severity is "info", "warning" or "error"."""
        self._notice.show(sentence, severity, self._now())

    # ---- search

    def action_search(self) -> None:
        self._ask_line.ask("search", "Search", self._ask_line.text if self._view.search.is_on else "")
        self._hint_matches(len(self._view.search.matches))

    def on_ask_line_typed(self, message: AskLine.Typed) -> None:
        if message.purpose == "search":
            self._hint_matches(self._view.seek(message.text))

    def on_ask_line_answered(self, message: AskLine.Answered) -> None:
        if message.purpose == "search":
            self._view.focus()
            if not message.text.strip():
                self._close_search()
            else:
                self.action_match(0)
        else:
            self.close_question()
            self.answered(message)

    def answered(self, message: AskLine.Answered) -> None:
        """What was typed into the ask line, search excepted; for the screen that asked."""

    def action_match(self, step: int) -> None:
        if not self._view.search.is_on:
            return
        number = self._view.go_to_match(step)
        total = len(self._view.search.matches)
        where = "nothing found" if number is None else f"{number + 1} of {total}   n next   N previous   esc close"
        self._ask_line.hint(where)

    def _hint_matches(self, total: int) -> None:
        self._ask_line.hint("" if not self._view.search.is_on else f"{total} found" if total else "nothing found")

    def _close_search(self) -> None:
        self._view.seek("")
        self.close_question()

    def close_question(self) -> None:
        """Take the ask line away and give the keyboard back to the text."""
        self._ask_line.leave()
        self._view.focus()
        if self._view.search.is_on:
            self._view.seek("")

    def text_select_all(self) -> None:
        """Three clicks select what two do."""
        self._view.text_select_all()

    # ---- other keys

    def action_copy(self) -> None:
        selected = self.get_selected_text()
        text = selected or self._last_said()
        if not text:
            self.tell("There is nothing to copy yet.")
            return
        where = self.app.copy(text)  # type: ignore[attr-defined]
        what = "What is selected" if selected else "The last utterance"
        self.tell(f"{what} was copied {where}.")

    def _last_said(self) -> str:
        chosen = self._view.chosen
        paragraphs = self._view.paragraphs
        if chosen is not None and chosen < len(paragraphs):
            return paragraphs[chosen].text.strip()
        return next((p.text.strip() for p in reversed(paragraphs) if p.kind == "speech" and p.text.strip()), "")

    def action_times(self) -> None:
        self._view.times = next_times(self._view.times, self._view.clock.live)

    def action_compact(self) -> None:
        self._view.compact = not self._view.compact
        self.show_parts()

    def action_follow(self) -> None:
        self._view.follow()

    def action_dismiss_one(self) -> None:
        if self._ask_line.display:
            self._close_search()
        elif self.get_selected_text():
            self.clear_selection()
        else:
            self._notice.dismiss()
