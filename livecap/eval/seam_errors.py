"""Word errors near seams, the places where the prompt rolls in unbroken speech, against errors elsewhere."""

from collections.abc import Sequence
from dataclasses import dataclass

from livecap.eval.reference import Reference
from livecap.eval.wer import errors_by_word
from livecap.stream.statistics import Counts
from livecap.transcript import SAMPLE_RATE

NEAR_SECONDS = 2.0
"""How far from a seam a word may begin, before or after it, and count as near."""


@dataclass(frozen=True, slots=True)
class SeamErrors(Counts):
    """Word errors near seams and elsewhere."""

    n_seams: int = 0
    near_words: int = 0
    near_errors: int = 0
    other_words: int = 0
    other_errors: int = 0
    expected: float = 0.0
    """The errors near seams that each recording would have if its error rate there were its rate elsewhere."""

    @property
    def near_wer(self) -> float:
        return self.near_errors / max(self.near_words, 1)

    @property
    def other_wer(self) -> float:
        return self.other_errors / max(self.other_words, 1)

    @property
    def ratio(self) -> float | None:
        """The WER near seams over the WER elsewhere; None where there is nothing to compare."""
        if not self.near_words or not self.other_errors:
            return None
        return self.near_wer / self.other_wer

    @property
    def ratio_within(self) -> float | None:
        """Errors near seams over `expected`: a hard recording that rolls often does not raise this ratio."""
        return self.near_errors / self.expected if self.expected else None


def seam_errors(reference: Reference, text: str, seams: Sequence[int]) -> SeamErrors:
    """The errors of `text`, as `errors_by_word`, near seams and elsewhere.

    Args:
        seams: samples at which a new prompt began in unbroken speech.
    """
    if not reference.words:
        return SeamErrors()
    errors = errors_by_word([word.text for word in reference.words], text)
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
