"""ReadingScreen: the base of the screens of a running and a past session: a transcript to read, search and copy."""

from collections.abc import Callable
from typing import Any

from textual import getters
from textual.app import ComposeResult
from textual.screen import Screen

from livecap.archive.clock import SessionClock
from livecap.archive.speakers import Speakers, name_of
from livecap.text.safety import printable
from livecap.text.units import matches
from livecap.transcript import speaker_letter
from livecap.tui.app import LivecapApp
from livecap.tui.keys import key_of, shown_key
from livecap.tui.transcript.times import Times, next_times
from livecap.tui.transcript.transcript_view import TranscriptView
from livecap.tui.widgets.ask_line import SAVE_HINT, AskLine
from livecap.tui.widgets.key_hints import KeyHints
from livecap.tui.widgets.notice_line import NoticeLine

MIN_HEIGHT = 15
"""With fewer rows, there is no meter and no key hints."""


MOST_PAGE_WIDTH = 122
"""Columns of the longest rows of text, with gutter and scroll bar. A wider terminal has them in the middle."""


class ReadingScreen(Screen[Any]):
    """A transcript with search, copy and timestamps. Subclasses compose the screen and have the bindings."""

    AUTO_FOCUS = "TranscriptView"
    why_no_speakers = ""
    """What to do if no speaker is labelled."""
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
        self._to_name = 0
        """The number of the speaker whose name is asked for."""

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
        self.view.styles.margin = (0, max(0, (self.app.size.width - MOST_PAGE_WIDTH) // 2))

    @property
    def shows_bars(self) -> bool:
        """True if the terminal is tall enough for more than text and status, and the view is not compact."""
        return self.app.size.height >= MIN_HEIGHT and not self.view.compact

    @property
    def save_hint(self) -> str:
        """The keys of a question, for terminals too small for the footer that names them."""
        return "" if self.key_hints.display else SAVE_HINT

    def key_of(self, command: str) -> str:
        """What to press for a command."""
        return key_of(self, command)

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
            self.set_focus(self.view)  # at once: the keys of the next sentence are those of the transcript
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
        keys = {"next": "next", "previous": "previous", "dismiss": "close"}
        hints = [f"{key} {does}" for command, does in keys.items() if (key := shown_key(self, command))]
        self.ask_line.hint(matches(0) if number is None else "   ".join([f"{number + 1} of {total}", *hints]))

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

    def action_copy_all(self) -> None:
        said = [p for p in self.view.paragraphs if p.text.strip() and p.kind in ("speech", "mark")]
        if not said:
            self.tell("Nothing to copy yet.")
            return
        text = "".join(f"{printable(p.label)}: {p.text.strip()}\n" if p.label else f"{p.text.strip()}\n" for p in said)
        self.tell(f"Copied the whole transcript {self.app.copy(text)}.")

    # ---- speakers

    @property
    def speakers(self) -> Speakers:
        """The speakers of the session."""
        return self.view.labels.speakers

    def action_rename(self) -> None:
        """Ask for the name of the speaker of the current line, or of the last one that has a label."""
        paragraphs, chosen = self.view.paragraphs, self.view.chosen
        found = paragraphs[chosen].number if chosen is not None and chosen < len(paragraphs) else None
        if found is None:
            found = next((p.number for p in reversed(paragraphs) if p.speaker), None)
        if found is None:
            self.tell(self.why_no_speakers)
            return
        self.ask_for_name(found)

    def on_transcript_view_speaker_clicked(self, message: TranscriptView.SpeakerClicked) -> None:
        self.ask_for_name(message.number)

    def ask_for_name(self, number: int) -> None:
        """Ask for the name of a speaker."""
        self._to_name = self.speakers.one(number)
        letter, label = speaker_letter(self._to_name), self.speakers.label(self._to_name)
        known = "" if label == letter else label
        hint = self.save_hint or "another one: B=Priya"
        self.ask_line.ask("speaker", f"Name of speaker {letter}:", known, hint=hint)

    def named(self, answer: str) -> tuple[int, str]:
        """The speaker and the name that were answered: "Tom", or "A=Tom" for another speaker than the one asked
        about.

        Raises:
            SettingsError: the name is too long.
        """
        letter, equals, name = answer.partition("=")
        other = self.speakers.find(letter) if equals else None
        return (self._to_name, name_of(answer)) if other is None else (self.speakers.one(other), name_of(name))

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
