"""Which token follows: the best one, or one drawn at random (temperature, top-k, top-p, repetition penalty)."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Sampling:
    """How tokens are chosen. By default the best one, which gives the same text every time."""

    temperature: float = 0.0
    """0 takes the best token; higher values make unlikely tokens likelier."""
    top_k: int = 0
    """Draw from this many best tokens; 0 for all."""
    top_p: float = 1.0
    """Draw from the fewest best tokens whose probabilities add up to this, 0 to 1."""
    repetition_penalty: float = 1.0
    """Logits of tokens that the text has already are divided by this if positive, else multiplied; 1 is off."""
    seed: int = 0
    """The same seed draws the same tokens."""

    @property
    def is_greedy(self) -> bool:
        """The best token by the model's own logits, always."""
        return self.temperature == 0 and self.repetition_penalty == 1

    def choose(self, logits: NDArray[np.float32], said: Sequence[int], random: np.random.Generator) -> int:
        """The id of the next token.

        Args:
            logits: [vocab].
            said: the ids of the text so far.
        """
        scores = logits.astype(np.float64)
        if self.repetition_penalty != 1 and said:
            ids = np.unique(said)
            known = scores[ids]
            scores[ids] = np.where(known > 0, known / self.repetition_penalty, known * self.repetition_penalty)
        if self.temperature == 0:
            return int(np.argmax(scores))
        order = np.argsort(-scores, kind="stable")[: self.top_k or None]
        with np.errstate(over="ignore"):  # a tiny temperature: the others have no share
            shares = np.exp((scores[order] - scores[order[0]]) / self.temperature)
        shares /= shares.sum()
        if self.top_p < 1:
            n = int(np.searchsorted(np.cumsum(shares), self.top_p)) + 1  # the token that reaches top_p is included
            order, shares = order[:n], shares[:n] / shares[:n].sum()
        return int(random.choice(order, p=shares))
