"""StepLength: how much new sound makes a step worth its cost."""

from livecap.stream.config import StreamConfig

REMEMBERED = 0.8
"""Of the old cost, when a step was cheaper; a dearer step counts at once by half."""


class StepLength:
    """Fixed, or following what steps cost: short where they are cheap, longer under load."""

    def __init__(self, config: StreamConfig) -> None:
        self._config = config
        self._cost_seconds = config.step_cost_seconds or 0.0

    @property
    def seconds(self) -> float:
        """Of new sound for the next step."""
        config = self._config
        if config.step_seconds is not None:
            return config.step_seconds
        return min(max(self._cost_seconds / config.load, config.least_step_seconds), config.most_step_seconds)

    @property
    def samples(self) -> int:
        return self._config.samples(self.seconds)

    def note(self, cost_seconds: float) -> None:
        """A step took so long."""
        if self._config.step_cost_seconds is None:
            kept = 0.5 if cost_seconds > self._cost_seconds else REMEMBERED
            self._cost_seconds = kept * self._cost_seconds + (1 - kept) * cost_seconds
