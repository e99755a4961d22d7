"""StageSeconds: where the time of a decode went, told by the places where the host waits for MLX anyway."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class StageSeconds:
    """Of one decode or of many; what is in none of them is the host's own work.

    Finer stages would need more waiting: `python -m benchmarks` has them, at that cost.
    """

    mel: float = 0.0
    encoder: float = 0.0
    """Convolutions and attention over the sound."""
    prefill: float = 0.0
    """The prompt, with the draft that is verified in the same pass."""
    generate: float = 0.0
    """The tokens behind that, a pass for each."""

    def __add__(self, other: "StageSeconds") -> "StageSeconds":
        return StageSeconds(
            self.mel + other.mel,
            self.encoder + other.encoder,
            self.prefill + other.prefill,
            self.generate + other.generate,
        )

    def __sub__(self, other: "StageSeconds") -> "StageSeconds":
        return StageSeconds(
            self.mel - other.mel,
            self.encoder - other.encoder,
            self.prefill - other.prefill,
            self.generate - other.generate,
        )
