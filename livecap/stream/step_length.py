"""StepLength: how much new sound makes a step worth its cost."""

from livecap.stream.config import StreamConfig

REMEMBERED = 0.8
"""Of the old cost, when a step was cheaper; a dearer step counts at once by half."""


class StepLength:
    """Fixed, or following what steps cost: short where they are cheap, longer under load."""

    def __init__(self, config: StreamConfig) -> None:
        self._config = config
        self._cost_seconds = config.step_cost_seconds
        """None until a step was made."""

    def samples(self, awaits_words: bool = False) -> int:
        """New sound for the next step.

        Args:
            awaits_words: somebody began to speak, and no word of it is shown yet. Then steps are shorter, and a fixed
                length is only a bound where half of it would do by what steps are known to cost.
        """
        config = self._config
        by_cost = min((self._cost_seconds or 0.0) / config.load, config.most_step_seconds)
        first, fixed = max(by_cost, config.first_step_seconds), config.step_seconds
        if fixed is None:
            return config.samples(first if awaits_words else max(by_cost, config.least_step_seconds))
        is_cheap = self._cost_seconds is not None and by_cost <= fixed / 2
        return config.samples(min(fixed, first) if awaits_words and is_cheap else fixed)

    def note(self, cost_seconds: float) -> None:
        """A step took so long."""
        if self._config.step_cost_seconds is None:
            before = self._cost_seconds or 0.0
            kept = 0.5 if cost_seconds > before else REMEMBERED
            self._cost_seconds = kept * before + (1 - kept) * cost_seconds
