"""TranscriptSearch: which paragraphs of a page hold what is sought, also those that are still being said."""

import re
from bisect import bisect_left, insort

from rich.cells import cell_len

from livecap.text.safety import printable
from livecap.tui.transcript.page import Page

MIN_MARKED_WIDTH = 2
"""Columns of what is sought from which it is marked: a single letter is everywhere."""


class TranscriptSearch:
    """Of one page."""

    def __init__(self, page: Page, text: str = "") -> None:
        """
        Args:
            text: what is sought, in any case; an empty one finds nothing.
        """
        self._page = page
        wanted = printable(text).strip()
        self._folded = wanted.casefold()
        shown = cell_len(wanted) >= MIN_MARKED_WIDTH
        self.pattern = re.compile(re.escape(wanted), re.IGNORECASE) if shown else None
        """What is marked."""
        self.matches = page.find(self._folded) if self._folded else []
        """The paragraphs that hold what is sought, in order."""

    @property
    def is_on(self) -> bool:
        """Something is sought."""
        return bool(self._folded)

    def look_again(self, index: int) -> None:
        """A paragraph has other text."""
        if not self._folded:
            return
        at = bisect_left(self.matches, index)
        known = at < len(self.matches) and self.matches[at] == index
        holds = self._page.holds(index, self._folded)
        if holds and not known:
            insort(self.matches, index)
        elif known and not holds:
            del self.matches[at]

    def number_after(self, step: int, chosen: int | None, last_seen: int) -> int | None:
        """The number of the next (1) or the previous (-1) match, around the end; None without any.

        Without a match chosen, the last one down to the paragraph `last_seen` is the next.
        """
        if not self.matches:
            return None
        at = bisect_left(self.matches, -1 if chosen is None else chosen)
        if chosen is not None and at < len(self.matches) and self.matches[at] == chosen:
            return (at + step) % len(self.matches)
        return max(0, bisect_left(self.matches, last_seen + 1) - 1)
