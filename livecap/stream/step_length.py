"""StepLength: how much new sound makes a step worth its cost."""

from livecap.stream.config import StreamConfig

REMEMBERED = 0.8
"""Of the old cost, when a step was cheaper; a dearer step counts at once by half."""


class StepLength:
    """Fixed, or following what steps cost: short where they are cheap, longer under load."""

    def __init__(self, config: StreamConfig) -> None:
        self._config = config
        self._cost_seconds = config.step_cost_seconds or 0.0

    def samples(self, awaits_words: bool = False) -> int:
        """New sound for the next step.

        Args:
            awaits_words: somebody began to speak, and no word of it is shown yet. Then a fixed length is only a bound:
                the first words come as soon as the cost of steps allows.
        """
        config = self._config
        by_cost = min(self._cost_seconds / config.load, config.most_step_seconds)
        fixed = config.step_seconds
        seconds = max(by_cost, config.least_step_seconds) if fixed is None else fixed
        return config.samples(min(max(by_cost, config.first_step_seconds), seconds) if awaits_words else seconds)

    def note(self, cost_seconds: float) -> None:
        """A step took so long."""
        if self._config.step_cost_seconds is None:
            kept = 0.5 if cost_seconds > self._cost_seconds else REMEMBERED
            self._cost_seconds = kept * self._cost_seconds + (1 - kept) * cost_seconds
