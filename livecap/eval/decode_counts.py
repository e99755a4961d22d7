"""CountedRecogniser: wraps a recogniser and counts the sequential work of its decoder."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

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


class CountedRecogniser:
    """Recogniser that passes all calls on to another one, counts its decodes and notes where prompts rolled."""

    def __init__(self, recogniser: Recogniser) -> None:
        self._recogniser = recogniser
        self.counts = DecodeCounts()
        self.seams: list[int] = []
        """The first samples of prompts that begin in sound which the previous prompt had already heard."""
        self._has_begun = False

    @property
    def start_sample(self) -> int:
        """See `Recogniser`."""
        return self._recogniser.start_sample

    @property
    def end_sample(self) -> int:
        """See `Recogniser`."""
        return self._recogniser.end_sample

    def begin(self, start_sample: int) -> None:
        """Note a seam where the new prompt overlaps the previous one."""
        if self._has_begun and start_sample <= self.end_sample:
            self.seams.append(start_sample)
        self._has_begun = True
        self._recogniser.begin(start_sample)

    def append(self, samples: NDArray[np.float32]) -> None:
        """See `Recogniser`."""
        self._recogniser.append(samples)

    def decode(
        self,
        header: Sequence[int],
        prefix: Sequence[int],
        draft: Sequence[int],
        max_tokens: int,
        pad_samples: int = 0,
    ) -> Decoded:
        """Decode and count."""
        decoded = self._recogniser.decode(header, prefix, draft, max_tokens, pad_samples)
        n_offered = len(draft) + (len(header) if not prefix and draft else 0)
        self.counts += DecodeCounts(1, n_offered, decoded.n_accepted, decoded.n_passes)
        return decoded

    def close(self) -> None:
        """See `Recogniser`."""
        self._recogniser.close()
