"""A recording through the streaming transcriber, on the sound's clock, with the cost of every step noted."""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from livecap.audio_in.source import AudioBlock
from livecap.stream.transcriber import StreamingTranscriber
from livecap.transcript import SAMPLE_RATE, TranscriptUpdate, UtteranceSettled

ARRIVAL_SAMPLES = SAMPLE_RATE // 20
"""Sound arrives in pieces of 50 ms."""


@dataclass(frozen=True, slots=True)
class Moment:
    """One update and when it came, on two clocks that both begin with the sound."""

    update: TranscriptUpdate
    heard_seconds: float
    """Computation-unaware: how much sound had arrived. A step costs nothing."""
    wall_seconds: float
    """Computation-aware: steps take their time, and a step begins when the one before it has ended."""
    step: int
    """Updates of one step are painted together."""


@dataclass
class Timeline:
    """Everything that a session said, and what it cost."""

    moments: list[Moment] = field(default_factory=list)
    settled: list[UtteranceSettled] = field(default_factory=list)
    step_seconds: list[float] = field(default_factory=list)
    """What each step cost, measured."""
    settle_seconds: list[float] = field(default_factory=list)
    """What each settling pass cost, measured. They run when no step is due, and delay none on either clock."""
    lag_seconds: list[float] = field(default_factory=list)
    """At the start of each step: how far the work was behind the sound that had arrived by then."""
    sound_seconds: float = 0.0

    @property
    def compute_seconds(self) -> float:
        return sum(self.step_seconds) + sum(self.settle_seconds)


def play(
    transcriber: StreamingTranscriber,
    samples: NDArray[np.float32],
    step_cost: float | None = None,
    clock: Callable[[], float] = time.perf_counter,
    after_step: Callable[[float], None] = lambda heard_seconds: None,
) -> Timeline:
    """What the transcriber says about [n] samples at 16 kHz that arrive one after the other.

    Steps begin as the sound's clock says, whatever they cost: the same sound gives the same updates on every machine.
    Their cost is measured, and what a slow machine would have shown later is counted on a second clock.

    Args:
        step_cost: seconds that a step takes on the second clock; None takes what it did cost.
        after_step: called between steps, off the clocks, with how much sound had arrived.
    """
    timeline = Timeline(sound_seconds=len(samples) / SAMPLE_RATE)
    free_at = 0.0
    """When, on the second clock, the step before was done."""

    def take(items: Iterable[object], heard_seconds: float) -> None:
        nonlocal free_at
        begin_seconds = max(free_at, heard_seconds)
        timeline.lag_seconds.append(begin_seconds - heard_seconds)
        began = clock()
        for item in items:
            spent = clock() - began if step_cost is None else step_cost
            if isinstance(item, TranscriptUpdate):
                n = len(timeline.step_seconds)
                timeline.moments.append(Moment(item, heard_seconds, begin_seconds + spent, n))
        measured = clock() - began
        timeline.step_seconds.append(measured)
        free_at = begin_seconds + (measured if step_cost is None else step_cost)

    def settle() -> None:
        began = clock()
        timeline.settled.append(transcriber.settle())
        timeline.settle_seconds.append(clock() - began)

    for start in range(0, len(samples), ARRIVAL_SAMPLES):
        chunk = AudioBlock(start, samples[start : start + ARRIVAL_SAMPLES])
        transcriber.accept(chunk)
        if transcriber.ready:
            take(transcriber.step(), chunk.end_sample / SAMPLE_RATE)
            after_step(chunk.end_sample / SAMPLE_RATE)
        elif transcriber.n_unsettled:
            settle()
    take(transcriber.finish(), timeline.sound_seconds)
    while transcriber.n_unsettled:
        settle()
    return timeline
