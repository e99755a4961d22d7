"""RowDrawing: one row of the transcript as styled pieces: gutter, text, what is sought, what is selected."""

from bisect import bisect_left, bisect_right
from typing import TYPE_CHECKING

from rich.cells import cell_len, set_cell_size, split_graphemes
from rich.segment import Segment
from rich.style import Style

from livecap.text.safety import printable
from livecap.tui.transcript.paragraph import Paragraph

if TYPE_CHECKING:
    from livecap.tui.transcript.transcript_view import TranscriptView

MARK = "◆"
CHOSEN = "▸"


class RowDrawing:
    """Draws for one view: its styles, its selection, its search."""

    COMPONENT_CLASSES = {
        "transcript--stable",
        "transcript--partial",
        "transcript--time",
        "transcript--label",
        "transcript--remark",
        "transcript--mark",
        "transcript--placeholder",
        "transcript--match",
        "transcript--found",
        "transcript--chosen",
    }

    def __init__(self, view: "TranscriptView") -> None:
        self._view = view

    def segments(
        self, paragraph: Paragraph, index: int, inner: int, row: int, time: str, gutter_width: int
    ) -> list[Segment]:
        """One row.

        Args:
            index: of the paragraph.
            inner: the row of the paragraph.
            row: of the page, as selections count.
            time: what stands beside the first row.
            gutter_width: 0 where there is no gutter.
        """
        segments = [self._gutter(paragraph, index, inner, time, gutter_width)]
        if inner == 0 and paragraph.prefix:
            segments.append(Segment(paragraph.prefix, self._style("label")))
        if inner == 0 and paragraph.kind == "mark" and not gutter_width:
            segments.append(Segment(f"{MARK} ", self._style("mark")))
        return segments + self._text(paragraph, index, inner, row)

    def _style(self, name: str) -> Style:
        return self._view.get_component_rich_style(f"transcript--{name}")

    def _gutter(self, paragraph: Paragraph, index: int, inner: int, time: str, width: int) -> Segment:
        chosen = self._view.chosen == index and inner == 0
        if not width:
            return Segment(CHOSEN if chosen else " ", self._style("chosen"))
        parts = [time] if time else []
        if paragraph.kind == "mark":
            parts = [MARK]
        elif paragraph.kind == "speech" and paragraph.begins_turn and paragraph.track:
            parts.append(printable(paragraph.track))
        text = parts[inner] if inner < len(parts) else ""
        style = self._style("mark" if text == MARK else "time" if inner == 0 and time else "label")
        room = width - 2
        if cell_len(text) > room:
            text = set_cell_size(text, room - 1) + "…"
        text = " " * (room - cell_len(text)) + text + "  "
        if chosen:
            text = CHOSEN + text[1:] if text[0] == " " else text[:-1] + CHOSEN
            style = style + self._style("chosen")
        return Segment(text, style)

    def _text(self, paragraph: Paragraph, index: int, inner: int, row: int) -> list[Segment]:
        """The text of the row in pieces of one style each; each piece knows where it stands, for the mouse."""
        start, end = paragraph.span(inner)
        kind = "stable" if paragraph.kind == "speech" else paragraph.kind
        plain = self._style(kind)
        text = paragraph.text[start:end]
        styles: list[tuple[int, int, Style]] = []
        n_stable = len(paragraph.stable)
        if end > n_stable:
            styles.append((max(start, n_stable) - start, end - start, self._style("partial")))
        if self._view.search.pattern is not None:
            found = self._style("found" if self._view.chosen == index else "match")
            for match in self._view.search.pattern.finditer(paragraph.text):
                if match.end() > start and match.start() < end:
                    styles.append((max(match.start(), start) - start, min(match.end(), end) - start, found))
        selection = self._view.text_selection
        span = selection.get_span(row) if selection is not None else None
        if span is not None:
            stop = len(text) if span[1] < 0 else span[1]
            styles.append((span[0], stop, self._view.screen.get_component_rich_style("screen--selection")))
        styles = [(*whole_characters(text, first, last), style) for first, last, style in styles]
        cuts = sorted({0, len(text), *(cut for first, last, _ in styles for cut in (first, last))})
        segments = []
        for first, last in zip(cuts, cuts[1:], strict=False):
            style = plain
            for begin, stop, more in styles:
                if begin <= first and last <= stop:
                    style = style + more
            offset = Style.from_meta({"offset": (first, row)})
            segments.append(Segment(text[first:last], style + offset))
        return segments or [Segment("", plain)]


def whole_characters(text: str, first: int, last: int) -> tuple[int, int]:
    """The part [first, last) of a text, made larger where it begins or ends inside what is drawn as one character, such
    as a letter and its accents: in two pieces it would be wider."""
    first, last = min(first, len(text)), min(last, len(text))
    if text.isascii():
        return first, last
    ends = [end for _, end, _ in split_graphemes(text)[0]]
    begins = [0, *ends]
    return begins[bisect_right(begins, first) - 1], begins[bisect_left(begins, last)]
