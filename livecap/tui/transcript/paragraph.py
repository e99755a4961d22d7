"""Paragraph: what one utterance (or one remark between them) looks like as rows."""

from dataclasses import dataclass, field
from typing import Literal

from rich.cells import cell_len

from livecap.text.safety import printable
from livecap.transcript import TranscriptUpdate
from livecap.tui.transcript.wrap import Rows, wrap

Kind = Literal["speech", "remark", "mark"]
"""What somebody said; a sentence of livecap's own, such as a pause; a moment that a person marked."""


@dataclass(slots=True)
class Paragraph:
    """Text with its rows. Rows of stable text only grow until the utterance ends or the width changes."""

    track: str
    start_sample: int
    stable: str = ""
    partial: str = ""
    kind: Kind = "speech"
    begins_turn: bool = False
    """Another track, or a remark, stands before it: it is labelled."""
    rows: Rows = field(default_factory=lambda: Rows([]))
    prefix: str = ""
    """The label before the text, where there is no gutter."""
    least_height: int = 1
    """Rows it takes where it has text: its gutter may need two."""
    form: object = None
    """What it was laid out for; see `Page`."""

    @property
    def text(self) -> str:
        """Stable and partial text as one string."""
        return self.stable + self.partial

    def change(self, update: TranscriptUpdate, width: int) -> None:
        """Show a newer update of the same utterance."""
        frontier, before = len(self.stable), self.rows
        self.stable = printable(update.stable)
        self.partial = printable(update.partial)
        if update.final and before.broke_word:
            self.lay_out(width)
        else:
            self.rows = wrap(self._shown_text(), width, cell_len(self.prefix), before, frontier)

    def lay_out(self, width: int) -> None:
        """Wrap anew, because the width or the prefix is another one."""
        self.rows = wrap(self._shown_text(), width, cell_len(self.prefix))

    @property
    def height(self) -> int:
        """Rows on the screen; 0 where nothing was said."""
        return max(len(self.rows.starts), self.least_height) if self.rows.starts else 0

    def span(self, row: int) -> tuple[int, int]:
        """Where the text of a row begins and ends in `text`, without the space around it."""
        starts = self.rows.starts
        if row >= len(starts):
            return len(self.text), len(self.text)
        text = self.text
        start = starts[row]
        end = starts[row + 1] if row + 1 < len(starts) else len(text)
        shown = text[start:end].rstrip()
        if row == 0:
            start += len(shown) - len(shown.lstrip())
        return start, max(start, starts[row] + len(shown))

    def row(self, index: int) -> tuple[str, str]:
        """The stable and the partial text of a row; both empty below the last one."""
        start, end = self.span(index)
        n_stable = len(self.stable)
        stable = self.stable[start:end]
        return stable, self.partial[max(0, start - n_stable) : max(0, end - n_stable)]

    def _shown_text(self) -> str:
        text = self.text
        return text if text.strip() else ""
