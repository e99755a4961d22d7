"""The two clocks of a timeline: on one a step takes no time, on the other it delays the next step."""

import numpy as np
import pytest

from benchmarks.oracle import Faults, Oracle
from benchmarks.oracle_session import Clock
from benchmarks.scripted_speech import ScriptDetector, ScriptStyle, speak
from livecap.eval.timeline import Timeline, play
from livecap.model.checkpoint.load import resolve
from livecap.model.text.tokenizer import Tokenizer
from livecap.stream.config import ChunkConfig, StreamConfig
from livecap.stream.transcriber import StreamingTranscriber
from livecap.transcript import SAMPLE_RATE

WORDS = speak(60, seed=3, style=ScriptStyle(pause_chance=0))


def session(cost: float, step_cost: float | None = None) -> Timeline:
    clock = Clock()
    tokenizer = Tokenizer.from_folder(resolve("tiny"))
    oracle = Oracle(WORDS, tokenizer, Faults(cost_seconds=cost), spend=clock.spend)
    transcriber = StreamingTranscriber(
        oracle,
        tokenizer,
        StreamConfig(ChunkConfig(1.0, 0.5)),
        make_detector=lambda: ScriptDetector(WORDS),  # type: ignore[arg-type,return-value]
        now=clock,
    )
    samples = np.zeros(WORDS[-1].end_sample + 2 * SAMPLE_RATE, np.float32)
    return play(transcriber, samples, step_cost, clock)


def test_a_fast_step_delays_only_its_own_text() -> None:
    timeline = session(cost=0.25)
    delays = {round(m.wall_seconds - m.heard_seconds, 6) for m in timeline.moments if m.step < 5}
    assert delays == {0.25}
    assert timeline.lag_seconds[:5] == pytest.approx([0.0] * 5)


def test_steps_that_cost_more_than_their_sound_fall_behind() -> None:
    timeline = session(cost=1.5)
    lags = timeline.lag_seconds[:10]
    assert lags == pytest.approx([0.5 * i for i in range(10)], abs=0.06)


def test_the_unaware_clock_does_not_depend_on_the_cost_of_steps() -> None:
    slow, quick = session(cost=1.5), session(cost=0.1)
    assert [m.heard_seconds for m in slow.moments] == [m.heard_seconds for m in quick.moments]


def test_a_given_cost_replaces_the_measured_cost_on_the_aware_clock_only() -> None:
    timeline = session(cost=0.1, step_cost=0.4)
    assert timeline.moments[0].wall_seconds - timeline.moments[0].heard_seconds == pytest.approx(0.4)
    assert timeline.step_seconds[0] == pytest.approx(0.1)
