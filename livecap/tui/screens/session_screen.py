"""SessionScreen: one past session, to read, search and play."""

from collections.abc import Callable, Iterator
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.widgets import Static

from livecap.archive.amend import amend
from livecap.archive.recorded import RecordedSession
from livecap.archive.search import Hit
from livecap.archive.search_terms import longest_word
from livecap.archive.speakers import Speakers
from livecap.errors import LivecapError
from livecap.text.safety import printable
from livecap.text.units import length_of_time
from livecap.transcript import SpeakerNamed, UtteranceEnded, UtteranceSettled
from livecap.tui.choices import Machine, Playing
from livecap.tui.keys import PAST
from livecap.tui.screens.reading_screen import ReadingScreen
from livecap.tui.transcript.paragraph import Ended, Paragraph
from livecap.tui.transcript.remarks import Remarks
from livecap.tui.transcript.transcript_view import TranscriptView
from livecap.tui.widgets.ask_line import AskLine


class SessionScreen(ReadingScreen, inherit_bindings=False):
    """Up and down move from line to line; space plays the saved sound from there."""

    DEFAULT_CSS = """
    SessionScreen {
        & #head { height: 1; padding: 0 1; text-style: bold; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [*PAST]
    why_no_speakers = "No speaker is labelled. livecap speakers SESSION labels who spoke."

    def __init__(
        self,
        session: RecordedSession,
        now: Callable[[], float],
        machine: Machine | None = None,
        hit: Hit | None = None,
        query: str = "",
    ) -> None:
        """
        Args:
            machine: plays sound; None if that is not possible.
            hit: the utterance to start at.
            query: the search text, to be highlighted.
        """
        super().__init__(session.clock, now)
        self._session, self._machine, self._hit, self._query = session, machine, hit, query
        self._playing: Playing | None = None

    def compose(self) -> ComposeResult:
        session = self._session
        title = f"{session.title}   " if session.title else ""
        head = f"{title}{session.clock.date}   {length_of_time(session.seconds)}   {session.started.source}"
        yield Static(printable(head), id="head", markup=False)
        yield from self.compose_reading()
        yield self.key_hints

    def on_mount(self) -> None:
        self.view.placeholder = "Nothing was said."
        self.view.has_cursor = True
        self.view.set_labels(self._session.started.tracks)
        try:
            self.view.load(list(_paragraphs(self._session)))
        except LivecapError as error:  # another livecap has deleted the session
            self.tell(str(error), "error")
        if self._session.damages:
            self.tell(f"This log is damaged: {self._session.damages[0]}", "warning")
        elif self._session.was_cut_off:
            self.tell("This session was cut off. This is the text up to then.")
        self.call_after_refresh(self._begin)
        self.set_interval(0.25, self.poll)

    def _begin(self) -> None:
        if self._query:
            self.view.find(longest_word(self._query))
        start = self._hit.start_sample if self._hit else 0
        track = self._hit.track if self._hit else None
        paragraphs = self.view.paragraphs
        at = (i for i, p in enumerate(paragraphs) if p.start_sample >= start and track in (None, p.track))
        if paragraphs:
            self.view.choose(next(at, 0))

    def poll(self) -> None:
        """While sound is played, move the cursor along with it."""
        self.notice_line.tick(self.now())
        if self._playing is None:
            return
        if self._playing.ended:
            trouble = self._playing.trouble
            self._stop()
            if trouble:
                self.tell(trouble, "error")
            return
        sample = self._playing.sample
        paragraphs = self.view.paragraphs
        chosen = self.view.chosen or 0
        while chosen + 1 < len(paragraphs) and paragraphs[chosen + 1].start_sample <= sample:
            chosen += 1
        if chosen != self.view.chosen:
            self.view.choose(chosen)

    def on_transcript_view_time_clicked(self, message: TranscriptView.TimeClicked) -> None:
        self.view.choose(message.index)
        if self._session.sounds:
            self._play(message.sample)

    def action_play(self) -> None:
        if self._playing is not None:
            self._stop()
            return
        paragraphs, chosen = self.view.paragraphs, self.view.chosen
        if chosen is not None and chosen < len(paragraphs):
            self._play(paragraphs[chosen].start_sample)

    def _play(self, sample: int) -> None:
        self._stop()
        sounds = list(self._session.sounds.values())
        if not sounds or self._machine is None:
            self.tell("The sound of this session was not saved. Use livecap --save-audio to save it.")
            return
        try:
            self._playing = self._machine.play(sounds, sample)
        except LivecapError as error:
            self.tell(str(error), "error")
        else:
            self.notice_line.dismiss()  # why it failed before
            self.tell(f"Playing. Press {self.key_of('session.play')} to stop.")

    def on_unmount(self) -> None:
        if self._playing is not None:
            self._playing.close()  # livecap ends while the sound plays

    def _stop(self) -> None:
        playing, self._playing = self._playing, None
        if playing is not None:
            playing.close()
            self.notice_line.dismiss()

    @property
    def speakers(self) -> Speakers:
        """The speakers of the session."""
        return self._session.voices

    def answered(self, message: AskLine.Answered) -> None:
        if message.purpose != "speaker":
            return
        try:
            number, name = self.named(message.text)
            self._session = amend(self._session.folder, lambda session: [SpeakerNamed(number, name)])
        except LivecapError as error:
            self.tell(str(error), "error")
            return
        self.view.relabel(self._session.voices)

    def action_export(self) -> None:
        from livecap.tui.screens.export_screen import ExportScreen

        screen = ExportScreen(self._session.folder)
        self.app.push_screen(screen, lambda said: self.tell(said) if said else None)

    def action_dismiss_one(self) -> None:
        if self.ask_line.display or self.get_selected_text() or self.notice_line.sentence:
            super().action_dismiss_one()
        else:
            self.action_leave()

    def action_leave(self) -> None:
        self._stop()
        if len(self.app.screen_stack) > 1:
            self.dismiss(None)
        else:
            self.app.exit("finished")


def _paragraphs(session: RecordedSession) -> Iterator[Paragraph]:
    """The utterances and remarks of a session, in order."""
    remarks = Remarks(session.clock.live)
    ended: dict[str, Ended] = {}
    for fact in session.facts():
        if isinstance(fact, UtteranceEnded | UtteranceSettled):
            if fact.text.strip():
                text, before = printable(fact.text), ended.get(fact.track)
                continues = before is not None and before.goes_on(text, fact.start_sample)
                number = _number(session, fact) if fact.speaker else None
                yield Paragraph(
                    fact.track,
                    fact.start_sample,
                    stable=text,
                    continues=continues,
                    number=number,
                    speaker=fact.speaker,
                )
                ended[fact.track] = Ended(text, fact.end_sample)
        elif remark := remarks.of(fact):
            yield remark


def _number(session: RecordedSession, part: UtteranceEnded | UtteranceSettled) -> int | None:
    """Who says a part of an utterance. Names do not tell: two speakers may have the same one."""
    heard = session.heard_in(part)
    return next((number for _, number in session.voices.numbered_parts(part, heard.voices)), None) if heard else None
