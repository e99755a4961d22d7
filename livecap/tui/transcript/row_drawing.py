"""Draws one row of the transcript as styled segments: gutter, text, highlighted matches, selection."""

from bisect import bisect_left, bisect_right
from collections.abc import Callable

from rich.cells import cell_len, set_cell_size, split_graphemes
from rich.segment import Segment
from rich.style import Style

from livecap.text.folding import places
from livecap.text.safety import printable
from livecap.tui.transcript.paragraph import Paragraph

MARK = "★"
CHOSEN = "▸"
PROVISIONAL = Style(bold=False, dim=True)
"""A label that may still change."""
TIME_WIDTH = 8
"""Columns of the longest time, `10:02:03`."""

Styles = Callable[[str], Style]
"""The style of a part of a row: stable, partial, time, label-0 to label-5, remark, mark, match, found, chosen or
selection."""


def draw_row(
    paragraph: Paragraph,
    inner: int,
    row: int,
    styles: Styles,
    label: str = "label-0",
    *,
    time: str = "",
    has_gutter: bool = False,
    label_width: int = 0,
    chosen: bool = False,
    marked: str = "",
    selected: tuple[int, int] | None = None,
) -> list[Segment]:
    """One row of a paragraph.

    Args:
        inner: the row in the paragraph.
        row: the row on the page, in which Textual counts mouse positions.
        label: the style of the label of the speaker or track.
        time: the timestamp beside the first row.
        has_gutter: time and label have columns of their own at the left.
        label_width: columns of a label in the gutter; 0 without labels.
        chosen: the paragraph is the current one.
        marked: what is highlighted, as a folded text.
        selected: the selected columns of the row; the second is -1 for the end of the row.
    """
    first = inner == 0
    label_style = styles(label) + (PROVISIONAL if paragraph.is_provisional else Style())
    is_mark = first and paragraph.kind == "mark"
    if has_gutter:
        name = paragraph.label if first and paragraph.kind == "speech" and paragraph.begins_turn else ""
        field = f"{(MARK if is_mark else time if first else ''):>{TIME_WIDTH}}"
        end = "  "
        segments = []
        if chosen and first and field[0] == " ":
            segments.append(Segment(CHOSEN, styles("chosen")))
            field = field[1:]
        elif chosen and first:
            end = f" {CHOSEN}"
        segments.append(Segment(field, styles("mark" if is_mark else "time")))
        if label_width:
            segments.append(Segment(f" {_cut(printable(name), label_width)}", label_style))
        segments.append(Segment(end, styles("chosen")))
    else:
        segments = [Segment(CHOSEN if chosen and first else " ", styles("chosen"))]
        if is_mark:
            segments.append(Segment(f"{MARK} ", styles("mark")))
        elif first and paragraph.prefix:
            segments.append(Segment(paragraph.prefix, label_style))
    found = styles("found" if chosen else "match")
    return segments + _text(paragraph, inner, row, styles, marked, found, selected)


def _cut(text: str, width: int) -> str:
    """`text` in exactly `width` columns, with an ellipsis if it was cut."""
    return set_cell_size(text, width) if cell_len(text) <= width else set_cell_size(text, width - 1) + "…"


def _text(
    paragraph: Paragraph,
    inner: int,
    row: int,
    styles: Styles,
    marked: str,
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
    for first, last in places(paragraph.text, marked):
        if last > start and first < end:
            parts.append((max(first, start) - start, min(last, end) - start, found))
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
