"""ReadingScreen: the base of the screens of a running and a past session: a transcript to read, search and copy."""

from collections.abc import Callable
from typing import Any

from textual import getters
from textual.app import ComposeResult
from textual.screen import Screen

from livecap.archive.clock import SessionClock
from livecap.tui.app import LivecapApp
from livecap.tui.transcript.times import Times, next_times
from livecap.tui.transcript.transcript_view import TranscriptView
from livecap.tui.units import matches
from livecap.tui.widgets.ask_line import SAVE_HINT, AskLine
from livecap.tui.widgets.key_hints import KeyHints
from livecap.tui.widgets.notice_line import NoticeLine

MIN_HEIGHT = 15
"""With fewer rows, there is no meter and no key hints."""


class ReadingScreen(Screen[Any]):
    """A transcript with search, copy and timestamps. Subclasses compose the screen and have the bindings."""

    AUTO_FOCUS = "TranscriptView"
    app = getters.app(LivecapApp)

    def __init__(self, clock: SessionClock, now: Callable[[], float]) -> None:
        """
        Args:
            clock: converts samples to the times beside the text.
            now: seconds of a monotonic clock.
        """
        super().__init__()
        self.now = now
        self.view = TranscriptView(clock, id="transcript")
        self.ask_line = AskLine(id="ask")
        self.notice_line = NoticeLine(id="notice")
        self.key_hints = KeyHints()

    def compose_reading(self) -> ComposeResult:
        """The transcript, and the lines below it."""
        look = self.app.settings.screen
        self.view.set_reactive(TranscriptView.times, Times(look.times))
        self.view.set_reactive(TranscriptView.compact, look.compact)
        yield self.view
        yield self.ask_line
        yield self.notice_line

    def on_mount(self) -> None:
        self.show_parts()

    def on_resize(self) -> None:
        self.show_parts()

    def show_parts(self) -> None:
        """Show the parts that fit. By widget: a CSS class on the screen would recompute the styles of all widgets."""
        self.key_hints.display = self.shows_bars
        self.view.styles.padding = (1, 0) if self.shows_bars else 0

    @property
    def shows_bars(self) -> bool:
        """True if the terminal is tall enough for more than text and status, and the view is not compact."""
        return self.app.size.height >= MIN_HEIGHT and not self.view.compact

    @property
    def save_hint(self) -> str:
        """The keys of a question, for terminals too small for the footer that names them."""
        return "" if self.key_hints.display else SAVE_HINT

    def key_of(self, command: str) -> str:
        """The first key of a command, as it is shown."""
        found = (active.binding for active in self.active_bindings.values() if active.binding.id == command)
        return next((self.app.get_key_display(binding) for binding in found), "")

    def tell(self, sentence: str, severity: str = "info") -> None:
        """Show a notice at the bottom; severity is "info", "warning" or "error"."""
        self.notice_line.show(sentence, severity, self.now())

    # ---- search

    def action_search(self) -> None:
        self.ask_line.ask("search", "Search", self.ask_line.text if self.view.search.is_on else "")
        self._hint_matches(len(self.view.search.matches))

    def on_ask_line_typed(self, message: AskLine.Typed) -> None:
        if message.purpose == "search":
            self._hint_matches(self.view.find(message.text))

    def on_ask_line_answered(self, message: AskLine.Answered) -> None:
        if message.purpose == "search":
            self.view.focus()
            if not message.text.strip():
                self.close_question()
            else:
                self.action_match(0)
        else:
            self.close_question()
            self.answered(message)

    def answered(self, message: AskLine.Answered) -> None:
        """Called with the answer to a question other than a search; for the subclass that asked."""

    def action_match(self, step: int) -> None:
        if not self.view.search.is_on:
            return
        number = self.view.go_to_match(step)
        total = len(self.view.search.matches)
        place = matches(0) if number is None else f"{number + 1} of {total}   n next   N previous   esc close"
        self.ask_line.hint(place)

    def _hint_matches(self, total: int) -> None:
        self.ask_line.hint(matches(total) if self.view.search.is_on else "")

    def close_question(self) -> None:
        """Hide the ask line, end a search, and focus the transcript."""
        self.ask_line.leave()
        self.view.focus()
        if self.view.search.is_on:
            self.view.find("")

    def text_select_all(self) -> None:
        """A triple click selects the same as a double click."""
        self.view.text_select_all()

    # ---- other keys

    def action_copy(self) -> None:
        selected = self.get_selected_text()
        text = selected or self._last_said()
        if not text:
            self.tell("Nothing to copy yet.")
            return
        what = "selection" if selected else "last utterance"
        self.tell(f"Copied the {what} {self.app.copy(text)}.")

    def _last_said(self) -> str:
        chosen = self.view.chosen
        paragraphs = self.view.paragraphs
        if chosen is not None and chosen < len(paragraphs):
            return paragraphs[chosen].text.strip()
        return next((p.text.strip() for p in reversed(paragraphs) if p.kind == "speech" and p.text.strip()), "")

    def action_times(self) -> None:
        self.view.times = next_times(self.view.times, self.view.clock.live)

    def action_compact(self) -> None:
        self.view.compact = not self.view.compact
        self.show_parts()

    def action_follow(self) -> None:
        self.view.follow()

    def action_dismiss_one(self) -> None:
        if self.ask_line.display:
            self.close_question()
        elif self.get_selected_text():
            self.clear_selection()
        else:
            self.notice_line.dismiss()
