"""What somebody selects with the mouse on a page, and the text of it."""

from textual.geometry import Offset
from textual.selection import Selection

from livecap.tui.transcript.page import Page


def selected_text(page: Page, selection: Selection) -> str:
    """A line for each utterance, without the gutter and without the breaks of rows."""
    lines: dict[int, tuple[int, int]] = {}
    first = selection.start.y if selection.start else 0
    last = selection.end.y if selection.end else page.n_rows
    for row in range(first, min(last, page.n_rows) + 1):
        found, span = page.at(row), selection.get_span(row)
        if found is None or span is None:
            continue
        index, inner = found
        start, end = page.paragraphs[index].span(inner)
        begin = min(end, start + span[0])
        stop = end if span[1] < 0 else min(end, start + span[1])
        if stop > begin:
            known = lines.get(index)
            lines[index] = (known[0] if known else begin, stop)
    texts = [page.paragraphs[index].text[begin:stop].strip() for index, (begin, stop) in lines.items()]
    return "\n".join(text for text in texts if text)


def utterance_at(page: Page, row: int) -> Selection | None:
    """All of the paragraph at a row; None beside all of them."""
    found = page.at(row)
    if found is None:
        return None
    index, _ = found
    n_rows = len(page.paragraphs[index].rows.starts)
    start, end = page.paragraphs[index].span(n_rows - 1)
    return Selection(Offset(0, page.top(index)), Offset(end - start, page.top(index) + n_rows - 1))
