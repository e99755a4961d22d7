"""Paragraphs of a transcribed recording."""

import pytest

from livecap.transcribe.document import paragraphs
from livecap.transcribe.result import Segment

SECOND = 16_000


@pytest.mark.parametrize("end", [".", '?"', "。", "！」", "।", "؟", "۔"])
def test_a_long_paragraph_ends_with_its_sentence(end: str) -> None:
    def said(start: int, text: str) -> Segment:
        return Segment(text, start * SECOND, (start + 12) * SECOND, None, (), "stop")

    parts = [said(0, "a" + end), said(12, "b"), said(24, "c" + end), said(36, "d")]
    assert [[part.text for part in each] for each in paragraphs(parts)] == [["a" + end, "b", "c" + end], ["d"]]
