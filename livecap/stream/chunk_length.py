"""ChunkLength: how much new sound makes a step worth its cost."""

from livecap.stream.config import ChunkConfig, samples_in

COST_KEPT = 0.8
"""Weight of the running cost when a step was cheaper. When one was more expensive, both weigh the same."""


class ChunkLength:
    """Fixed, or following the cost of steps: short while they are cheap, longer under load."""

    def __init__(self, config: ChunkConfig) -> None:
        self._config = config
        self._cost_seconds = config.step_cost_seconds
        """Running cost; None until a step was measured."""
        self.n_sharing = 1
        """Streams that are decoded in turn on the same thread, with this one: a step of each takes time from all."""

    def samples(self, awaits_words: bool = False) -> int:
        """New sound that the next step waits for.

        Args:
            awaits_words: speech has begun and none of its words is shown yet. Chunks are shorter then; a fixed length
                is only shortened if the known cost of steps would allow half of it.
        """
        config = self._config
        cost_seconds = (self._cost_seconds or 0.0) * self.n_sharing
        by_cost = min(cost_seconds / config.load, config.most_chunk_seconds)
        first, fixed = max(by_cost, config.first_chunk_seconds), config.chunk_seconds
        if fixed is None:
            return samples_in(first if awaits_words else max(by_cost, config.least_chunk_seconds))
        is_cheap = self._cost_seconds is not None and by_cost <= fixed / 2
        return samples_in(min(fixed, first) if awaits_words and is_cheap else fixed)

    def note_cost(self, seconds: float) -> None:
        """Take into account that a step took this long; more than makes the longest chunk is not remembered."""
        if self._config.step_cost_seconds is None:
            seconds = min(seconds, self._config.most_chunk_seconds * self._config.load)
            before = self._cost_seconds or 0.0
            kept = 0.5 if seconds > before else COST_KEPT
            self._cost_seconds = kept * before + (1 - kept) * seconds
