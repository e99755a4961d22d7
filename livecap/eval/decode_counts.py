"""CountedRecogniser: the real recogniser, and how much work its decoder did one token after the other."""

from dataclasses import dataclass
from typing import Any

from livecap.stream.recogniser import Decoded, Recogniser


@dataclass
class DecodeCounts:
    """Sums over all decodes of one recording."""

    n_decodes: int = 0
    n_offered: int = 0
    """Draft tokens: what the decode before had said after the prefix, and its header where there is no prefix."""
    n_accepted: int = 0
    """Of them, those that were said again and cost no pass of their own."""
    n_passes: int = 0
    """Sequential passes of the decoder, one token each."""

    def add(self, other: "DecodeCounts") -> None:
        """Those of another recording, too."""
        self.n_decodes += other.n_decodes
        self.n_offered += other.n_offered
        self.n_accepted += other.n_accepted
        self.n_passes += other.n_passes

    @property
    def acceptance(self) -> float:
        """Share of offered draft tokens that were accepted."""
        return self.n_accepted / max(self.n_offered, 1)

    @property
    def passes_saved(self) -> float:
        """Share of the sequential passes that plain decoding would have needed, and this did not."""
        return self.n_accepted / max(self.n_accepted + self.n_passes, 1)


class CountedRecogniser(Recogniser):
    """A recogniser that counts."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        """As the recogniser's own."""
        super().__init__(*arguments, **named)
        self.counts = DecodeCounts()
        self.seams: list[int] = []
        """Where a prompt began in sound that the one before had heard: it rolled."""
        self._has_begun = False

    def begin(self, start_sample: int) -> None:
        """As the recogniser's own."""
        if self._has_begun and start_sample <= self.end_sample:
            self.seams.append(start_sample)
        self._has_begun = True
        super().begin(start_sample)

    def decode(self, *arguments: Any, **named: Any) -> Decoded:
        """As the recogniser's own."""
        decoded = super().decode(*arguments, **named)
        header, prefix, draft = (*arguments, *(() for _ in range(3)))[:3]
        draft = named.get("draft", draft if len(arguments) > 2 else ())
        self.counts.n_decodes += 1
        self.counts.n_offered += len(draft) + (len(header) if not prefix and draft else 0)
        self.counts.n_accepted += decoded.n_accepted
        self.counts.n_passes += decoded.n_passes
        return decoded
