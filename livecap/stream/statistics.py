"""What decoding costs: sums that add up over steps and over recordings. Light to import, unlike the rest of stream/."""

from dataclasses import dataclass, field, fields
from typing import Self


@dataclass(frozen=True, slots=True)
class Counts:
    """Base of a frozen dataclass of numbers and lists: `a + b` adds numbers and joins lists, field by field.

    `a - b` needs numbers alone.
    """

    def __add__(self, other: Self) -> Self:
        return type(self)(*(getattr(self, field.name) + getattr(other, field.name) for field in fields(self)))

    def __sub__(self, other: Self) -> Self:
        return type(self)(*(getattr(self, field.name) - getattr(other, field.name) for field in fields(self)))


@dataclass(frozen=True, slots=True)
class StageSeconds(Counts):
    """Seconds of compute of one decode or of many, by stage. The rest of a decode is work of the host.

    Measured where the host waits for MLX anyway: on a GPU it does not wait for the encoder, whose time is then a part
    of `prefill`. `python -m benchmarks` measures finer stages, by waiting more often.
    """

    mel: float = 0.0
    encoder: float = 0.0
    """Convolutions and transformer over the sound."""
    prefill: float = 0.0
    """The prompt through the decoder, with the draft that is verified in the same pass."""
    generate: float = 0.0
    """The tokens after that, one pass each."""


@dataclass(frozen=True, slots=True)
class StepStatistics(Counts):
    """Sums over all decodes of a live prompt; those of `Settling` are not counted."""

    n_steps: int = 0
    n_drafted: int = 0
    """Draft tokens: the previous decode's text after the prefix, and its header where there is no prefix."""
    n_accepted: int = 0
    """Draft tokens that the model repeated; they cost no pass of their own."""
    n_passes: int = 0
    """Sequential decoder passes, which generated one token each."""
    n_runaways: int = 0
    """Steps that returned more text than can have been said."""
    n_rolls: int = 0
    """Prompts that were continued in a new one in unbroken speech."""
    seams: list[int] = field(default_factory=list)
    """The first samples of prompts that begin in sound which the previous prompt had already heard."""
    seconds: StageSeconds = StageSeconds()
    """Compute time by stage."""

    @property
    def acceptance(self) -> float:
        """Accepted over offered draft tokens."""
        return self.n_accepted / max(self.n_drafted, 1)

    @property
    def passes_saved(self) -> float:
        """The share of plain decoding's sequential passes that drafts saved."""
        return self.n_accepted / max(self.n_accepted + self.n_passes, 1)
