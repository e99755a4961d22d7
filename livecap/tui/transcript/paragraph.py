"""Paragraph: the text of one utterance, or of one remark between utterances, and its rows."""

from dataclasses import dataclass, field
from typing import Literal

from rich.cells import cell_len

from livecap.text.safety import printable
from livecap.text.scripts import AFTER_SENTENCE, SENTENCE_ENDS
from livecap.transcript import SAMPLE_RATE, TranscriptUpdate
from livecap.tui.transcript.wrap import Rows, wrap

SENTENCE_PAUSE_SECONDS = 3.0
"""The longest pause inside a sentence."""

Kind = Literal["speech", "remark", "mark"]
"""An utterance; a remark of livecap, such as a pause; a moment that the user marked."""


@dataclass(frozen=True, slots=True)
class Ended:
    """The last utterance of a track that ended."""

    text: str
    end_sample: int

    def goes_on(self, text: str, start_sample: int) -> bool:
        """Whether an utterance with this text goes on with this one: a long one that was split, with no pause between,
        or a sentence in which the speaker paused."""
        if start_sample == self.end_sample:
            return True
        before, after = self.text.rstrip(f" {AFTER_SENTENCE}"), text.lstrip(" \"'([{«“‘…-–—")
        in_sentence = before[-1:] not in ("", *SENTENCE_ENDS) and after[:1] != "" and not after[0].isupper()
        return in_sentence and abs(start_sample - self.end_sample) <= SENTENCE_PAUSE_SECONDS * SAMPLE_RATE


@dataclass(slots=True)
class Paragraph:
    """Text with its rows. Rows of stable text do not change until the utterance ends or the width changes."""

    track: str
    start_sample: int
    stable: str = ""
    partial: str = ""
    kind: Kind = "speech"
    number: int | None = None
    """Number of its speaker; None as long as it is unknown."""
    speaker: str = ""
    """Name or letter of its speaker, if the track has several."""
    is_provisional: bool = False
    """Its speaker is a first impression."""
    begins_turn: bool = False
    """It follows another speaker, another track or a remark, so it shows its label."""
    continues: bool = False
    """It goes on with the last utterance of its track, see `Ended`."""
    rows: Rows = field(default_factory=lambda: Rows([]))
    prefix: str = ""
    """The label before the text if there is no gutter; else empty."""
    form: object = None
    """The (width, has_gutter) it was laid out for; `Page` sets it."""

    @property
    def text(self) -> str:
        """Stable and partial text as one string."""
        return self.stable + self.partial

    @property
    def label(self) -> str:
        """The speaker, else the track."""
        return self.speaker or self.track

    def change(self, update: TranscriptUpdate, width: int) -> None:
        """Take the text of a newer update of the same utterance."""
        frontier, before = len(self.stable), self.rows
        self.stable = printable(update.stable)
        self.partial = printable(update.partial)
        if update.final and before.broke_word:
            self.lay_out(width)
        else:
            self.rows = wrap(self._shown_text(), width, cell_len(self.prefix), before, frontier)

    def lay_out(self, width: int) -> None:
        """Wrap all the text again, for another width or prefix."""
        self.rows = wrap(self._shown_text(), width, cell_len(self.prefix))

    def begins_at(self, track: str, sample: int) -> bool:
        """True for the utterance of a track that begins at this sample."""
        return self.kind == "speech" and (self.track, self.start_sample) == (track, sample)

    @property
    def height(self) -> int:
        """The number of rows on the screen; 0 without text."""
        return len(self.rows.starts)

    def span(self, row: int) -> tuple[int, int]:
        """The start and end of a row in `text`, without the space around it."""
        starts, text = self.rows.starts, self.text
        if row >= len(starts):
            return len(text), len(text)
        start = starts[row]
        end = starts[row + 1] if row + 1 < len(starts) else len(text)
        shown = text[start:end].rstrip()
        if row == 0:
            start += len(shown) - len(shown.lstrip())
        return start, max(start, starts[row] + len(shown))

    def row(self, index: int) -> tuple[str, str]:
        """The stable and the partial text of a row."""
        start, end = self.span(index)
        n_stable = len(self.stable)
        stable = self.stable[start:end]
        return stable, self.partial[max(0, start - n_stable) : max(0, end - n_stable)]

    def _shown_text(self) -> str:
        text = self.text
        return text if text.strip() else ""
