"""Greedy word wrap in which stable text, once shown, never moves.

Rows break at spaces, in CJK text between characters, and anywhere in a word that is longer than a row. The last `HANG`
columns of a row stay free when a word is placed, so that what is added to it later (a comma, an ending) fits behind it.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from rich.cells import cell_len, split_graphemes

from livecap.text.scripts import CLOSING, EAST_ASIAN, OPENING

HANG = 2
"""Columns kept free at the end of a row for what is added to a placed word: one CJK full stop, or two letters."""
MIN_WIDTH_TO_HANG = 16

_CLOSING = CLOSING + "・%％"
_NARROW = re.compile(r"[ -~\u00a1-\u00ac\u00ae-\u02ff\u0391-\u03ff\u0400-\u0482\u048a-\u052f‘’“”–—…]*")
"""Text with one column per character and no space other than U+0020: Latin, Greek and Cyrillic, for the fast path."""
_UNIT = re.compile(
    rf"(?P<space>\s+)"
    rf"|[{OPENING}]*[{EAST_ASIAN}][{_CLOSING}]*"
    rf"|[^\s{EAST_ASIAN}]+[{_CLOSING}]*"
)


@dataclass(slots=True)
class Rows:
    """The rows of one paragraph."""

    starts: list[int]
    """The index in the text where each row begins; the first is 0. Empty without text."""
    broke_word: bool = False
    """Stable text was cut inside a word that would have fitted on a row of its own."""


def wrap(text: str, width: int, indent: int = 0, before: Rows | None = None, frontier: int = 0) -> Rows:
    """Wrap `text` into rows.

    Args:
        width: columns of a row.
        indent: columns that are taken at the beginning of the first row.
        before: the rows as last shown; rows with stable text stay as they are.
        frontier: how many characters were stable when `before` was shown; they keep their row.
    """
    if not text:
        return Rows([])
    starts = [start for start in before.starts if start < frontier] if before else []
    rows = Rows(starts or [0], before.broke_word if before and starts else False)
    width = max(1, width)
    narrow = _NARROW.fullmatch(text) is not None
    while True:
        start = _quick_start(text, rows, width, indent, frontier) if narrow else None
        if start is None:
            start = _next_start(text, rows, width, indent, frontier)
        if start == len(text):
            return rows
        rows.starts.append(start)


def _quick_start(text: str, rows: Rows, width: int, indent: int, frontier: int) -> int | None:
    """The result of `_next_start` in the simple case: narrow text, nothing stable, a space to break at. Else None."""
    start = rows.starts[-1]
    if start < frontier or text[start] == " " or width < MIN_WIDTH_TO_HANG:
        return None
    limit = width - HANG
    last = start + limit - (min(indent, width - 1) if len(rows.starts) == 1 else 0)
    end = len(text.rstrip(" "))
    if end <= last:
        return len(text)
    space = text.rfind(" ", start, last + 1)
    after = text.find(" ", last + 1, end)
    next_start = space + 1
    if space < 0 or text[next_start] == " " or (after if after >= 0 else end) - next_start > limit:
        return None
    return next_start


def _next_start(text: str, rows: Rows, width: int, indent: int, frontier: int) -> int:
    """Where the next row begins; the end of the text if the rest fits on the last row."""
    column = min(indent, width - 1) if len(rows.starts) == 1 else 0
    limit = width - HANG if width >= MIN_WIDTH_TO_HANG else width
    empty = True
    for start, end, is_space in _units(text, rows.starts[-1]):
        unit_width = cell_len(text[start:end])
        if is_space:
            column += 0 if empty else unit_width
            continue
        placed = start < frontier
        free = (width if placed else limit) - column
        if unit_width > free:
            if not placed and not empty and (unit_width <= limit or free < limit // 2):
                return start
            cut = _cut(text, start, end, free, frontier, force=empty)
            if cut < end:
                rows.broke_word |= placed and unit_width <= limit
                return cut
        column += unit_width
        empty = False
    return len(text)


def _units(text: str, start: int) -> Iterator[tuple[int, int, bool]]:
    """The unbreakable pieces of the text: (start, end, True for space)."""
    for match in _UNIT.finditer(text, start):
        yield match.start(), match.end(), match["space"] is not None


def _cut(text: str, start: int, end: int, n_columns: int, frontier: int, force: bool) -> int:
    """Where to cut a piece: after the whole characters that fit, at least one if `force`, never before `frontier`."""
    cut, column = start, 0
    for char_start, char_end, char_width in split_graphemes(text[start:end])[0]:
        fits = column + char_width <= n_columns or (force and cut == start)
        if not fits and start + char_start >= frontier:
            break
        cut, column = start + char_end, column + char_width
    return cut
