"""Draws one row of the transcript as styled segments: gutter, text, highlighted matches, selection."""

import re
from bisect import bisect_left, bisect_right
from collections.abc import Callable

from rich.cells import cell_len, set_cell_size, split_graphemes
from rich.segment import Segment
from rich.style import Style

from livecap.text.safety import printable
from livecap.tui.transcript.paragraph import Paragraph

MARK = "◆"
CHOSEN = "▸"

Styles = Callable[[str], Style]
"""The style of a part of a row: stable, partial, time, label, remark, mark, match, found, chosen or selection."""


def draw_row(
    paragraph: Paragraph,
    inner: int,
    row: int,
    styles: Styles,
    *,
    time: str = "",
    gutter_width: int = 0,
    chosen: bool = False,
    pattern: re.Pattern[str] | None = None,
    selected: tuple[int, int] | None = None,
) -> list[Segment]:
    """One row of a paragraph.

    Args:
        inner: the row in the paragraph.
        row: the row on the page, in which Textual counts mouse positions.
        time: the timestamp beside the first row.
        gutter_width: in columns; 0 without a gutter.
        chosen: the paragraph is the current one.
        pattern: matches what is highlighted.
        selected: the selected columns of the row; the second is -1 for the end of the row.
    """
    segments = [_gutter(paragraph, inner, styles, time, gutter_width, chosen and inner == 0)]
    if inner == 0 and paragraph.prefix:
        segments.append(Segment(paragraph.prefix, styles("label")))
    if inner == 0 and paragraph.kind == "mark" and not gutter_width:
        segments.append(Segment(f"{MARK} ", styles("mark")))
    found = styles("found" if chosen else "match")
    return segments + _text(paragraph, inner, row, styles, pattern, found, selected)


def _gutter(paragraph: Paragraph, inner: int, styles: Styles, time: str, width: int, chosen: bool) -> Segment:
    if not width:
        return Segment(CHOSEN if chosen else " ", styles("chosen"))
    parts = [time] if time else []
    if paragraph.kind == "mark":
        parts = [MARK]
    elif paragraph.kind == "speech" and paragraph.begins_turn and paragraph.track:
        parts.append(printable(paragraph.track))
    text = parts[inner] if inner < len(parts) else ""
    style = styles("mark" if text == MARK else "time" if inner == 0 and time else "label")
    text_width = width - 2
    if cell_len(text) > text_width:
        text = set_cell_size(text, text_width - 1) + "…"
    text = " " * (text_width - cell_len(text)) + text + "  "
    if chosen:
        text = CHOSEN + text[1:] if text[0] == " " else text[:-1] + CHOSEN
        style = style + styles("chosen")
    return Segment(text, style)


def _text(
    paragraph: Paragraph,
    inner: int,
    row: int,
    styles: Styles,
    pattern: re.Pattern[str] | None,
    found: Style,
    selected: tuple[int, int] | None,
) -> list[Segment]:
    """The text of the row, cut where the style changes; each segment carries its offset for the mouse."""
    start, end = paragraph.span(inner)
    plain = styles("stable" if paragraph.kind == "speech" else paragraph.kind)
    text = paragraph.text[start:end]
    parts: list[tuple[int, int, Style]] = []
    n_stable = len(paragraph.stable)
    if end > n_stable:
        parts.append((max(start, n_stable) - start, end - start, styles("partial")))
    if pattern is not None:
        for match in pattern.finditer(paragraph.text):
            if match.end() > start and match.start() < end:
                parts.append((max(match.start(), start) - start, min(match.end(), end) - start, found))
    if selected is not None:
        parts.append((selected[0], len(text) if selected[1] < 0 else selected[1], styles("selection")))
    parts = [(*whole_characters(text, first, last), style) for first, last, style in parts]
    cuts = sorted({0, len(text), *(cut for first, last, _ in parts for cut in (first, last))})
    segments = []
    for first, last in zip(cuts, cuts[1:], strict=False):
        style = plain
        for begin, stop, more in parts:
            if begin <= first and last <= stop:
                style = style + more
        offset = Style.from_meta({"offset": (first, row)})
        segments.append(Segment(text[first:last], style + offset))
    return segments or [Segment("", plain)]


def whole_characters(text: str, first: int, last: int) -> tuple[int, int]:
    """The range [first, last) of a text, extended to whole graphemes: half of one (a letter without its accents) would
    be drawn wider."""
    first, last = min(first, len(text)), min(last, len(text))
    if text.isascii():
        return first, last
    ends = [end for _, end, _ in split_graphemes(text)[0]]
    begins = [0, *ends]
    return begins[bisect_right(begins, first) - 1], begins[bisect_left(begins, last)]
