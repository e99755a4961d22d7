"""StepCosts: what the steps of a session cost, for the status and for who looks for what is slow."""

from collections import deque
from dataclasses import dataclass

from livecap.stream.recogniser import StageSeconds

RTF_STEPS = 10
"""Steps that the shown RTF is averaged over."""
KEPT_STEPS = 2000
"""More than ten minutes of the shortest ones."""


@dataclass(frozen=True, slots=True)
class StepCost:
    """One step of one track."""

    at_seconds: float
    """When it ended, on the sample clock of its track."""
    track: str
    sound_seconds: float
    """What it heard anew."""
    compute_seconds: float
    """All of it: the stages, the host's work, the log and the listeners."""
    waited_seconds: float
    """How much of its sound had arrived before, and waited for the decoder."""
    stages: StageSeconds

    @property
    def host_seconds(self) -> float:
        """What no stage accounts for."""
        stages = self.stages
        return max(0.0, self.compute_seconds - stages.mel - stages.encoder - stages.prefill - stages.generate)


class StepCosts:
    """The decode thread notes; any thread may read."""

    def __init__(self) -> None:
        self._kept: deque[StepCost] = deque(maxlen=KEPT_STEPS)
        self.compute_seconds = 0.0
        """Of all steps so far."""

    def note(self, cost: StepCost) -> None:
        self.compute_seconds += cost.compute_seconds
        if cost.sound_seconds > 0:
            self._kept.append(cost)

    @property
    def recent(self) -> tuple[StepCost, ...]:
        """The last ones that heard something, oldest first."""
        return tuple(self._kept)

    @property
    def last(self) -> StepCost | None:
        return self._kept[-1] if self._kept else None

    @property
    def rtf(self) -> float | None:
        """Compute time over sound time of the last steps; None before the first."""
        last = list(self._kept)[-RTF_STEPS:]
        sound = sum(cost.sound_seconds for cost in last)
        return sum(cost.compute_seconds for cost in last) / sound if sound else None
