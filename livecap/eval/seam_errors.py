"""Where prompts roll in the middle of speech: are words near such a seam wrong more often than others?"""

from collections.abc import Sequence
from dataclasses import dataclass

from livecap.eval.alignment import align
from livecap.eval.reference import Reference
from livecap.eval.wer import normalise
from livecap.transcript import SAMPLE_RATE

NEAR_SECONDS = 2.0
"""A word that begins so close to a seam, before or behind it, is near."""


@dataclass(frozen=True, slots=True)
class SeamErrors:
    """Word errors near seams and elsewhere; counts, so that recordings add up."""

    n_seams: int = 0
    near_words: int = 0
    near_errors: int = 0
    other_words: int = 0
    other_errors: int = 0
    expected: float = 0.0
    """Errors that the words near seams would have, were each recording's as often wrong there as elsewhere in it."""

    def __add__(self, other: "SeamErrors") -> "SeamErrors":
        return SeamErrors(
            self.n_seams + other.n_seams,
            self.near_words + other.near_words,
            self.near_errors + other.near_errors,
            self.other_words + other.other_words,
            self.other_errors + other.other_errors,
            self.expected + other.expected,
        )

    @property
    def near_wer(self) -> float:
        return self.near_errors / max(self.near_words, 1)

    @property
    def other_wer(self) -> float:
        return self.other_errors / max(self.other_words, 1)

    @property
    def ratio(self) -> float | None:
        """Near over elsewhere; None where there is nothing to compare."""
        if not self.near_words or not self.other_errors:
            return None
        return self.near_wer / self.other_wer

    @property
    def ratio_within(self) -> float | None:
        """Near over elsewhere in the same recording: a recording that is hard and rolls often does not count for it."""
        return self.near_errors / self.expected if self.expected else None


def seam_errors(reference: Reference, text: str, seams: Sequence[int]) -> SeamErrors:
    """Errors of `text`, each at the spoken word it belongs to; an invented one at the word before it.

    Args:
        seams: samples at which a prompt began anew in unbroken speech.
    """
    if not reference.words:
        return SeamErrors()
    expected, heard = [word.text for word in reference.words], normalise(text)
    errors = [0] * len(expected)
    at = 0
    for i, j in align(expected, heard):
        at = at if i is None else i
        errors[at] += i is None or j is None or expected[i] != heard[j]
    reach = round(NEAR_SECONDS * SAMPLE_RATE)
    near = [any(abs(word.start_sample - seam) <= reach for seam in seams) for word in reference.words]
    near_errors = sum(n for n, is_near in zip(errors, near, strict=True) if is_near)
    other_words, other_errors = len(near) - sum(near), sum(errors) - near_errors
    return SeamErrors(
        n_seams=len(seams),
        near_words=sum(near),
        near_errors=near_errors,
        other_words=other_words,
        other_errors=other_errors,
        expected=sum(near) * other_errors / max(other_words, 1),
    )
