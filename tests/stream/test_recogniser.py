"""Every tick of the clock during a decode is counted in exactly one stage."""

import itertools
from pathlib import Path

import pytest
import soundfile

from livecap.model.checkpoint.load import load
from livecap.stream.config import StreamConfig
from livecap.stream.recogniser import ModelRecogniser
from livecap.stream.statistics import StageSeconds

RECORDING = sorted((Path(__file__).parents[2] / "recordings").glob("*.flac"))[0]
SECOND = 16_000


@pytest.mark.parametrize("drafted", [False, True])
def test_stages_add_up_to_the_decode(drafted: bool) -> None:
    ticks = itertools.count()
    said: list[float] = []
    loaded = load("tiny")

    def clock() -> float:
        said.append(float(next(ticks)))
        return said[-1]

    recogniser = ModelRecogniser(loaded, "", "English", StreamConfig(), clock)
    samples, _ = soundfile.read(RECORDING, dtype="float32", frames=4 * SECOND)
    recogniser.begin(0)
    recogniser.append(samples)
    draft = recogniser.decode((), [], [], 60).ids if drafted else []
    said.clear()
    stages = recogniser.decode((), [], draft, 60).seconds
    assert stages.mel == 1 and stages.encoder > 0 and stages.prefill > 0
    assert stages.mel + stages.encoder + stages.prefill + stages.generate == said[-1] - said[0]


def test_stage_seconds_add_and_subtract() -> None:
    before, step = StageSeconds(1, 2, 3, 4), StageSeconds(0.5, 0.25, 0.125, 1)
    assert before + step - before == step
