"""Paragraph: what one utterance (or one remark between them) looks like as rows."""

from dataclasses import dataclass, field

from rich.cells import cell_len

from livecap.text_safety import printable
from livecap.transcript import TranscriptUpdate
from livecap.tui.wrap import Rows, wrap


@dataclass(slots=True)
class Paragraph:
    """Text with its rows. Rows of stable text only grow until the utterance ends or the width changes."""

    track: str
    start_sample: int
    stable: str = ""
    partial: str = ""
    is_remark: bool = False
    """A sentence of livecap's own between utterances: a pause, lost sound."""
    rows: Rows = field(default_factory=lambda: Rows([]))
    time: str = ""
    """When it was said, whether it is shown or not."""
    gutter: tuple[str, ...] = ()
    """What stands left of the first rows."""
    prefix: str = ""
    """The label before the text, where there is no gutter."""

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
        return max(len(self.rows.starts), len(self.gutter)) if self.rows.starts else 0

    def row(self, index: int) -> tuple[str, str]:
        """The stable and the partial text of a row; both empty below the last one."""
        starts = self.rows.starts
        if index >= len(starts):
            return "", ""
        start = starts[index]
        end = starts[index + 1] if index + 1 < len(starts) else len(self.stable) + len(self.partial)
        n_stable = len(self.stable)
        stable = self.stable[start:end]
        partial = self.partial[max(0, start - n_stable) : max(0, end - n_stable)]
        if not stable:
            partial = partial.lstrip() if index == 0 else partial
        elif index == 0:
            stable = stable.lstrip()
        return (stable, partial.rstrip()) if partial.strip() else (stable.rstrip(), "")

    def _shown_text(self) -> str:
        text = self.stable + self.partial
        return text if text.strip() else ""
