"""Captions: the last few lines of the transcript, centred, for a second screen or a projector."""

from collections import deque
from collections.abc import Iterable

from rich.segment import Segment
from textual.reactive import reactive
from textual.strip import Strip
from textual.widget import Widget

from livecap.archive.speakers import Speakers
from livecap.text.safety import printable
from livecap.transcript import TranscriptUpdate
from livecap.tui.transcript.paragraph import Paragraph
from livecap.tui.transcript.transcript_view import N_COLOURS

KEPT = 8
"""Utterances kept, more than can be visible."""
MAX_WIDTH = 64
"""Columns. Broadcasters use 32 to 42, but letters in a terminal are narrower."""
MOST_LINES = 8


class Captions(Widget):
    """The newest line is at the bottom. A line is filled, then moves up as a whole, never word by word."""

    COMPONENT_CLASSES = {
        "captions--stable",
        "captions--partial",
        "captions--label-0",
        "captions--label-1",
        "captions--label-2",
        "captions--label-3",
        "captions--label-4",
        "captions--label-5",
        "captions--placeholder",
    }
    DEFAULT_CSS = """
    Captions {
        height: 1fr;
        & .captions--stable { text-style: bold; }
        & .captions--partial { text-style: italic; }
        & .captions--label-0 { text-style: bold; }
        & .captions--label-1 { text-style: bold; }
        & .captions--label-2 { text-style: bold; }
        & .captions--label-3 { text-style: bold; }
        & .captions--label-4 { text-style: bold; }
        & .captions--label-5 { text-style: bold; }
        & .captions--placeholder { text-style: dim; }
    }
    """

    n_lines: reactive[int] = reactive(3)
    with_partial: reactive[bool] = reactive(True, layout=True)
    """Show partial text too."""

    placeholder: reactive[str] = reactive("")
    """Shown until there is text."""

    def __init__(self, n_lines: int = 3, with_partial: bool = True, id: str | None = None) -> None:
        super().__init__(id=id)
        self.set_reactive(Captions.n_lines, n_lines)
        self.set_reactive(Captions.with_partial, with_partial)
        self._paragraphs: deque[tuple[tuple[str, int], Paragraph]] = deque(maxlen=KEPT)
        self._width = MAX_WIDTH
        self.labels: list[str] = []
        """The labels of tracks and speakers, in the order of their colours."""

    def show(self, updates: Iterable[TranscriptUpdate]) -> None:
        """Show the new text of some utterances."""
        for update in updates:
            self._show_one(update)
            self.refresh()

    def label(self, speakers: Speakers) -> None:
        """Show the labels that count now."""
        for key, paragraph in self._paragraphs:
            label = speakers.label_of(*key)
            paragraph.speaker = "" if label == paragraph.track else label
            prefix = f"{printable(label)}: " if label else ""
            if prefix != paragraph.prefix:
                paragraph.prefix = prefix
                paragraph.lay_out(self._width)
                self.refresh()
            if label and label not in self.labels:
                self.labels.append(label)

    def _show_one(self, update: TranscriptUpdate) -> None:
        key = (update.track, update.utterance)
        known = next((paragraph for at, paragraph in self._paragraphs if at == key), None)
        if known is None:
            if not printable(update.text).strip():
                return
            prefix = f"{printable(update.track)}: " if update.track else ""
            known = Paragraph(update.track, update.start_sample, prefix=prefix)
            self._paragraphs.append((key, known))
            if update.track not in self.labels:
                self.labels.append(update.track)
        known.change(update, self._width)

    @property
    def lines(self) -> list[tuple[str, str, str]]:
        """(label, stable, partial) of the visible lines, from the top."""
        return [row for _, row in self._lines()]

    def shows(self, key: tuple[str, int]) -> bool:
        """True if a line of the utterance (track, number) is visible."""
        return any(shown == key for shown, _ in self._lines())

    def _lines(self) -> list[tuple[tuple[str, int], tuple[str, str, str]]]:
        """The key of the utterance, (track, number), and the text of each visible line."""
        rows: list[tuple[tuple[str, int], tuple[str, str, str]]] = []
        for key, paragraph in self._paragraphs:
            for row in range(len(paragraph.rows.starts)):
                stable, partial = paragraph.row(row)
                label = paragraph.prefix if row == 0 else ""
                if stable or (partial and self.with_partial):
                    rows.append((key, (label, stable, partial if self.with_partial else "")))
        return rows[-self.n_lines :]

    @property
    def _spaced(self) -> bool:
        """True if there is space for an empty row between lines: wide spacing is easier to read from a distance."""
        return self.size.height >= 2 * self.n_lines

    def on_resize(self) -> None:
        width = max(1, min(MAX_WIDTH, self.size.width - 4))
        if width != self._width:
            self._width = width
            for _, paragraph in self._paragraphs:
                paragraph.lay_out(width)
            self.refresh()

    def render_line(self, y: int) -> Strip:
        lines, width, step = self._lines(), self.size.width, 2 if self._spaced else 1
        bottom = self.size.height - 1 - (1 if self.size.height > step * self.n_lines + 1 else 0)
        from_bottom = bottom - y
        if from_bottom < 0 or from_bottom % step or from_bottom // step >= max(1, len(lines)):
            return Strip.blank(width, self.rich_style)
        _, (label, stable, partial) = lines[-1 - from_bottom // step] if lines else (("", 0), ("", "", ""))
        name = label.removesuffix(": ")
        number = self.labels.index(name) % N_COLOURS if name in self.labels else 0
        left = max(0, (width - self._width) // 2)
        style = self.get_component_rich_style
        segments = [
            Segment(" " * left),
            Segment(label, style(f"captions--label-{number}")),
            Segment(stable, style("captions--stable")),
            Segment(partial, style("captions--partial")),
            Segment("" if lines else self.placeholder, style("captions--placeholder")),
        ]
        return Strip(segments).adjust_cell_length(width, self.rich_style).apply_style(self.rich_style)
