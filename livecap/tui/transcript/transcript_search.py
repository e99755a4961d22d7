"""TranscriptSearch: the paragraphs of a page that contain a search text, kept up to date as paragraphs grow."""

from bisect import bisect_left, insort

from rich.cells import cell_len

from livecap.text.folding import folded
from livecap.text.safety import printable
from livecap.tui.transcript.page import Page

MIN_MARKED_WIDTH = 2
"""Matches are highlighted from this width of the search text on, in columns; a single letter is everywhere."""


class TranscriptSearch:
    """One search in one page."""

    def __init__(self, page: Page, text: str = "") -> None:
        """
        Args:
            text: the text to find, ignoring case, accents and strokes; an empty one matches nothing.
        """
        self._page = page
        wanted = printable(text).strip()
        self._folded = folded(wanted)
        self.marked = self._folded if cell_len(wanted) >= MIN_MARKED_WIDTH else ""
        """What is highlighted, as a folded text; "" if nothing is."""
        self.matches = page.find(self._folded) if self._folded else []
        """The indices of the matching paragraphs, in order."""

    @property
    def is_on(self) -> bool:
        """False if the search text is empty."""
        return bool(self._folded)

    def look_again(self, index: int) -> None:
        """Update `matches` after the text of a paragraph changed."""
        if not self._folded:
            return
        at = bisect_left(self.matches, index)
        known = at < len(self.matches) and self.matches[at] == index
        holds = self._page.holds(index, self._folded)
        if holds and not known:
            insort(self.matches, index)
        elif known and not holds:
            del self.matches[at]

    def inserted(self, index: int) -> None:
        """Take note that a paragraph was inserted into the page at `index`."""
        self.matches = [match + (match >= index) for match in self.matches]
        self.look_again(index)

    def number_after(self, step: int, chosen: int | None, last_seen: int) -> int | None:
        """The index in `matches` of the next (1) or the previous (-1) match, with wrap-around; None without matches.

        Args:
            step: 1, -1, or 0 for the current one.
            chosen: the paragraph of the current match. If it is not a match, the result is the last match at or above
                the paragraph `last_seen`.
            last_seen: the last visible paragraph.
        """
        if not self.matches:
            return None
        at = bisect_left(self.matches, -1 if chosen is None else chosen)
        if chosen is not None and at < len(self.matches) and self.matches[at] == chosen:
            return (at + step) % len(self.matches)
        return max(0, bisect_left(self.matches, last_seen + 1) - 1)
