"""Page: paragraphs one below the other, and the row of each. Independent of widgets, colours and clocks.

Wrapping 50,000 paragraphs again takes too long to do at once. After a change of width, paragraphs are wrapped when they
become visible (`lay_out_rows`), and the rest in small pieces (`lay_out_some`), the newest first; until then they keep
their old height.
"""

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import accumulate

from livecap.text.folding import folded
from livecap.text.safety import printable
from livecap.transcript import TranscriptUpdate
from livecap.tui.transcript.paragraph import Paragraph


@dataclass(frozen=True, slots=True)
class Form:
    """The layout of a page."""

    width: int
    """Columns of text."""
    has_gutter: bool
    """True: times and labels are left of the text. False: the label is the beginning of the text, without a time."""
    air: int
    """Empty rows between paragraphs; there are none before one that continues the last one."""


class Page:
    """All paragraphs of a transcript. Rows count from the top of the page."""

    def __init__(self, form: Form) -> None:
        self.form = form
        self.paragraphs: list[Paragraph] = []
        self._heights: list[int] = []
        self._bottoms: list[int] = []
        """For each paragraph, the row after its last row and the air below it."""
        self._folded: list[str] = []
        """For each paragraph, its text as searches compare it."""
        self._stale = 0
        """Paragraphs before this index may still be laid out for an older form."""

    def __len__(self) -> int:
        return len(self.paragraphs)

    @property
    def n_rows(self) -> int:
        return max(0, self._bottoms[-1] - self.form.air) if self._bottoms else 0

    @property
    def is_laid_out(self) -> bool:
        return self._stale == 0

    # ---- geometry

    def at(self, row: int) -> tuple[int, int] | None:
        """(index of the paragraph, row in it) at a row of the page; None between paragraphs and below the end."""
        index = bisect_right(self._bottoms, row)
        if index == len(self.paragraphs):
            return None
        inner = row - self.top(index)
        return (index, inner) if inner < self._heights[index] else None

    def nearest(self, row: int) -> int:
        """The index of the paragraph at a row, or of the last one above it."""
        return min(bisect_right(self._bottoms, row), len(self.paragraphs) - 1)

    def top(self, index: int) -> int:
        """The first row of a paragraph."""
        return self._bottoms[index - 1] if index else 0

    def height(self, index: int) -> int:
        return self._heights[index]

    def n_text_rows(self, first: int) -> int:
        """The number of rows of the paragraphs from `first` on, without air."""
        return sum(self._heights[first:])

    # ---- text

    def insert(self, paragraph: Paragraph, at_end: bool = False) -> int:
        """Add a paragraph in order of time, and lay it out. Returns its index.

        Text of a track that lags goes above what was said after it; a mark goes below the utterance that begins at its
        sample. With `at_end` it goes below everything: a jump back in a recording, and so what is heard again after it.
        """
        paragraphs, sample = self.paragraphs, paragraph.start_sample
        index = len(paragraphs)
        marked = (i for i in range(index, 0, -1) if paragraphs[i - 1].begins_at(paragraph.track, sample))
        if paragraph.kind != "mark" or not (index := next(marked, 0)):
            index = len(paragraphs)
            while index and not at_end and paragraphs[index - 1].start_sample > sample:
                index -= 1
        self.insert_at(index, paragraph)
        return index

    def insert_at(self, index: int, paragraph: Paragraph) -> None:
        """Add a paragraph before the one at `index`, and lay it out."""
        self.paragraphs.insert(index, paragraph)
        self._folded.insert(index, folded(paragraph.text))
        self._heights.insert(index, 0)
        self._bottoms.insert(index, self.top(index))
        self._stale += index < self._stale
        for changed in range(index, min(index + 2, len(self.paragraphs))):
            self._find_turn(changed)
            self._lay_out(changed)
        self._arrange(max(0, index - 1))

    def relabel(self, indices: Iterable[int]) -> None:
        """Lay out paragraphs again whose label or text was changed from outside."""
        found = sorted(indices)
        for index in found:
            self._folded[index] = folded(self.paragraphs[index].text)
        for index in sorted({*found, *(index + 1 for index in found)} - {len(self.paragraphs)}):
            self._find_turn(index)
            self._lay_out(index)
        if found:
            self._arrange(max(0, found[0] - 1))

    def extend(self, paragraphs: Iterable[Paragraph]) -> None:
        """Add many at the end, in order of time; they are laid out when they become visible."""
        first = len(self.paragraphs)
        self.paragraphs += paragraphs
        for index in range(first, len(self.paragraphs)):
            self._find_turn(index)
            self._folded.append(folded(self.paragraphs[index].text))
        self._heights += [1] * (len(self.paragraphs) - first)
        self._bottoms += [0] * (len(self.paragraphs) - first)
        self._stale = len(self.paragraphs)
        self._arrange(first)

    def _find_turn(self, index: int) -> None:
        """Set `begins_turn` of a paragraph; if it changed, the paragraph must be laid out again."""
        paragraph = self.paragraphs[index]
        before = (self.paragraphs[i] for i in range(index - 1, -1, -1))
        previous = next((other for other in before if other.number is None or other.text.strip()), None)
        begins = previous is None or previous.kind != "speech" or previous.label != paragraph.label
        if begins != paragraph.begins_turn:
            paragraph.begins_turn, paragraph.form = begins, None

    def index_of(self, paragraph: Paragraph) -> int:
        """The index of a paragraph of this page; quick for one near the end."""
        return next(index for index in range(len(self.paragraphs) - 1, -1, -1) if self.paragraphs[index] is paragraph)

    def change(self, index: int, update: TranscriptUpdate) -> list[int] | None:
        """Give a paragraph the text of a newer update.

        Returns:
            The rows that look different now; None if the paragraphs below moved too.
        """
        paragraph = self.paragraphs[index]
        before = [paragraph.row(row) for row in range(paragraph.height)]
        paragraph.change(update, self.form.width)
        self._folded[index] = folded(paragraph.text)
        if paragraph.height != self._heights[index]:
            self._heights[index] = paragraph.height
            self._arrange(index)
            return None
        top = self.top(index)
        return [top + row for row, drawn in enumerate(before) if paragraph.row(row) != drawn]

    def find(self, wanted: str) -> list[int]:
        """The indices of the paragraphs that contain `wanted`, a folded text."""
        return [index for index, text in enumerate(self._folded) if wanted in text]

    def holds(self, index: int, wanted: str) -> bool:
        """True if the paragraph contains `wanted`, a folded text."""
        return wanted in self._folded[index]

    # ---- layout

    def take_form(self, form: Form) -> None:
        """Use another layout. Paragraphs keep their height until they are laid out."""
        if form == self.form:
            return
        if (form.width, form.has_gutter) != (self.form.width, self.form.has_gutter):
            self._stale = len(self.paragraphs)
        self.form = form
        self._arrange(0)

    def lay_out_rows(self, first_row: int, last_row: int) -> bool:
        """Lay out the paragraphs on these rows. True if rows moved, so that others may be on these rows now."""
        if self.is_laid_out or not self.paragraphs:
            return False
        first = bisect_right(self._bottoms, first_row)
        last = min(bisect_right(self._bottoms, last_row), len(self.paragraphs) - 1)
        moved = [index for index in range(first, last + 1) if self._lay_out(index)]
        if moved:
            self._arrange(moved[0])
        return bool(moved)

    def lay_out_some(self, n_paragraphs: int) -> bool:
        """Lay out the next `n_paragraphs`, the newest first. True if rows moved."""
        stop = max(0, self._stale - n_paragraphs)
        moved = [index for index in range(self._stale - 1, stop - 1, -1) if self._lay_out(index)]
        self._stale = stop
        if moved:
            self._arrange(moved[-1])
        return bool(moved)

    def _lay_out(self, index: int) -> bool:
        """Lay out one paragraph for the page's form. True if its height changed."""
        paragraph, form = self.paragraphs[index], (self.form.width, self.form.has_gutter)
        if paragraph.form != form:
            labelled = paragraph.begins_turn and bool(paragraph.label) and paragraph.kind == "speech"
            paragraph.prefix = f"{printable(paragraph.label)}: " if labelled and not self.form.has_gutter else ""
            paragraph.lay_out(self.form.width)
            paragraph.form = form
        if paragraph.height == self._heights[index]:
            return False
        self._heights[index] = paragraph.height
        return True

    def _arrange(self, first: int) -> None:
        """Compute the rows of the paragraphs from `first` on."""
        air = self.form.air
        joined = [paragraph.continues and not paragraph.begins_turn for paragraph in self.paragraphs[first + 1 :]]
        extents = [
            height + (0 if is_joined else air) if height else 0
            for height, is_joined in zip(self._heights[first:], [*joined, False], strict=False)
        ]
        self._bottoms[first:] = list(accumulate(extents, initial=self.top(first)))[1:]
