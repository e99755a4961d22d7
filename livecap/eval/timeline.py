"""A recording through the streaming transcriber as if it were live, with the time of every update."""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from livecap.audio_in.source import AudioBlock
from livecap.stream.transcriber import StreamingTranscriber
from livecap.transcript import SAMPLE_RATE, TranscriptUpdate, UtteranceSettled

ARRIVAL_SAMPLES = SAMPLE_RATE // 20
"""Samples of one arriving block: 50 ms."""


@dataclass(frozen=True, slots=True)
class Moment:
    """One update and its time on two clocks; both begin with the sound."""

    update: TranscriptUpdate
    heard_seconds: float
    """Computation-unaware: how much sound had arrived. A step takes no time."""
    wall_seconds: float
    """Computation-aware: a step takes its time, and the next one begins when it has ended."""
    step: int
    """The number of the step; updates of one step are drawn together."""


@dataclass
class Timeline:
    """All text of one recording, and the cost of every step."""

    moments: list[Moment] = field(default_factory=list)
    settled: list[UtteranceSettled] = field(default_factory=list)
    step_seconds: list[float] = field(default_factory=list)
    """The measured cost of each step."""
    settle_seconds: list[float] = field(default_factory=list)
    """The measured cost of each settling pass. They run when no step is due, and delay no step on either clock."""
    lag_seconds: list[float] = field(default_factory=list)
    """At the start of each step: how far decoding was behind the sound that had arrived."""
    sound_seconds: float = 0.0

    @property
    def compute_seconds(self) -> float:
        return sum(self.step_seconds) + sum(self.settle_seconds)


def play(
    transcriber: StreamingTranscriber,
    samples: NDArray[np.float32],
    step_cost: float | None = None,
    now: Callable[[], float] = time.perf_counter,
    after_step: Callable[[float], None] = lambda heard_seconds: None,
) -> Timeline:
    """Feed [n] samples at 16 kHz to the transcriber, block by block, and record what it says.

    A step begins when the sound makes it due, whatever steps cost: the same sound gives the same updates on every
    machine. The cost is measured; the delay that it would cause on a slow machine is counted on the second clock.

    Args:
        step_cost: seconds that a step takes on the second clock; None uses the measured cost.
        now: the time in seconds, to measure steps with.
        after_step: called between steps, while nothing is measured, with the seconds of sound that have arrived.
    """
    timeline = Timeline(sound_seconds=len(samples) / SAMPLE_RATE)
    free_at = 0.0
    """When the previous step ended, on the second clock."""

    def take(items: Iterable[object], heard_seconds: float) -> None:
        nonlocal free_at
        begin_seconds = max(free_at, heard_seconds)
        timeline.lag_seconds.append(begin_seconds - heard_seconds)
        began, n_decodes = now(), transcriber.statistics.n_steps

        def spent_seconds() -> float:
            if step_cost is None:
                return now() - began
            return step_cost if transcriber.statistics.n_steps > n_decodes else 0.0  # an end may be known already

        for item in items:
            spent = spent_seconds()
            if isinstance(item, TranscriptUpdate):
                n = len(timeline.step_seconds)
                timeline.moments.append(Moment(item, heard_seconds, begin_seconds + spent, n))
        spent = spent_seconds()
        timeline.step_seconds.append(spent if step_cost is None else now() - began)
        free_at = begin_seconds + spent

    def settle() -> None:
        began = now()
        timeline.settled.append(transcriber.settle())
        timeline.settle_seconds.append(now() - began)

    for start in range(0, len(samples), ARRIVAL_SAMPLES):
        block = AudioBlock(start, samples[start : start + ARRIVAL_SAMPLES])
        transcriber.accept(block)
        if transcriber.ready:
            take(transcriber.step(), block.end_sample / SAMPLE_RATE)
            after_step(block.end_sample / SAMPLE_RATE)
        elif transcriber.n_unsettled:
            settle()
    take(transcriber.flush(), timeline.sound_seconds)
    while transcriber.n_unsettled:
        settle()
    return timeline
