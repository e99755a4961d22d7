"""CountedRecogniser: the model's recogniser, with counts of the decoder's sequential work."""

from dataclasses import dataclass
from typing import Any

from livecap.eval.counts import Counts
from livecap.stream.recogniser import Decoded, Recogniser


@dataclass(frozen=True, slots=True)
class DecodeCounts(Counts):
    """Sums over all decodes of one recording, or of several."""

    n_decodes: int = 0
    n_offered: int = 0
    """Draft tokens: the previous decode's text after the prefix, and its header where there is no prefix."""
    n_accepted: int = 0
    """Draft tokens that the model said again; they cost no pass of their own."""
    n_passes: int = 0
    """Sequential passes of the decoder, one token each."""

    @property
    def acceptance(self) -> float:
        """Accepted over offered draft tokens."""
        return self.n_accepted / max(self.n_offered, 1)

    @property
    def passes_saved(self) -> float:
        """The share of plain decoding's sequential passes that drafts saved."""
        return self.n_accepted / max(self.n_accepted + self.n_passes, 1)


class CountedRecogniser(Recogniser):
    """A recogniser that counts its decodes and notes where prompts rolled."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        """Takes the recogniser's arguments."""
        super().__init__(*arguments, **named)
        self.counts = DecodeCounts()
        self.seams: list[int] = []
        """The first samples of prompts that begin in sound which the previous prompt had already heard."""
        self._has_begun = False

    def begin(self, start_sample: int) -> None:
        """Note a seam where the new prompt overlaps the previous one."""
        if self._has_begun and start_sample <= self.end_sample:
            self.seams.append(start_sample)
        self._has_begun = True
        super().begin(start_sample)

    def decode(self, *arguments: Any, **named: Any) -> Decoded:
        """Decode and count."""
        decoded = super().decode(*arguments, **named)
        header, prefix, draft = (*arguments, *(() for _ in range(3)))[:3]
        draft = named.get("draft", draft if len(arguments) > 2 else ())
        n_offered = len(draft) + (len(header) if not prefix and draft else 0)
        self.counts += DecodeCounts(1, n_offered, decoded.n_accepted, decoded.n_passes)
        return decoded
