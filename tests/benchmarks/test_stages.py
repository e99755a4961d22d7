"""The measured network and recogniser: they show where time goes and change nothing."""

import json
from types import SimpleNamespace

import pytest

from benchmarks.costs import Run, beginning, growth, measure_costs, repeated
from benchmarks.machine_speed import MachineSpeed
from benchmarks.stages import STAGES
from livecap.errors import LivecapError
from livecap.eval.modes import parse_mode
from livecap.eval.reference import read_reference
from livecap.eval.timeline import play
from livecap.model.backend import on_cpu
from livecap.model.checkpoint.load import LoadedModel, load
from livecap.shipped import demo_recording
from livecap.stream.recogniser import ModelRecogniser
from livecap.stream.transcriber import StreamingTranscriber

MODE = parse_mode("2", step_cost=0.1)
"""A given cost, so that the text does not depend on the speed of the machine."""


@pytest.fixture(scope="module")
def tiny() -> LoadedModel:
    return load("tiny")


@pytest.fixture(scope="module")
def run(tiny: LoadedModel) -> Run:
    return measure_costs(tiny, beginning(read_reference(demo_recording()), 8), MODE, trace=True)


def test_stages_account_for_the_compute(run: Run) -> None:
    stages = run.figures["stages"]
    assert set(stages) == set(STAGES)
    assert all(stages[name]["calls"] > 0 for name in ("mel", "conv", "encoder", "prefill", "generate"))
    total = sum(stage["seconds"] for stage in stages.values())
    assert 0 < total <= run.timeline.compute_seconds * 1.01
    assert stages["host"]["seconds"] >= 0


def test_measuring_changes_no_text(run: Run, tiny: LoadedModel) -> None:
    reference = beginning(read_reference(demo_recording()), 8)
    recogniser = ModelRecogniser(tiny, "", None, MODE.config)
    timeline = play(StreamingTranscriber(recogniser, tiny.tokenizer, MODE.config), reference.samples)
    watched = [m.update.text for m in run.timeline.moments]
    assert [m.update.text for m in timeline.moments] == watched


def test_memory_and_shapes_are_reported(run: Run) -> None:
    memory = run.figures["memory_mb"]
    assert memory["mlx_active"] <= memory["mlx_peak"]
    assert on_cpu or memory["mlx_active"] > 0, "on a CPU, NumPy holds the weights"
    assert 0 < memory["resident"] <= memory["resident_peak"]
    assert all(n >= 1 for n in run.figures["distinct_shapes"].values())


def test_a_trace_has_the_format_of_chrome(run: Run) -> None:
    events = json.loads(run.stages.trace())["traceEvents"]
    spans = [event for event in events if event["ph"] == "X"]
    assert {event["name"] for event in spans} >= {"decode", "prefill", "generate"}
    assert all(event["ts"] >= 0 and event["dur"] >= 0 for event in spans)


def test_the_beginning_of_a_recording_ends_between_words() -> None:
    whole = read_reference(demo_recording())
    part = beginning(whole, 8)
    assert part.words == whole.words[: len(part.words)]
    assert part.words[-1].end_sample <= len(part.samples) <= whole.words[len(part.words)].start_sample
    assert len(part.samples) <= 8 * 16_000


def test_repeated_recordings_keep_their_word_times() -> None:
    whole = read_reference(demo_recording())
    twice = repeated([whole], whole.seconds + 2)
    n = len(whole.words)
    assert len(twice.words) == 2 * n
    shift = twice.words[n].start_sample - whole.words[0].start_sample
    assert (twice.samples[shift : shift + len(whole.samples)] == whole.samples).all()


def test_growth_compares_the_same_sound_and_divides_out_the_speed_of_the_machine() -> None:
    """Steps in the second half of each period cost twice as much, and the machine becomes slower by half."""
    moments = [SimpleNamespace(step=i, heard_seconds=float(i)) for i in range(2300)]
    slower = [1 + i / 2300 for i in range(2300)]
    costs = [cost * (1.0 if i % 250 < 125 else 2.0) for i, cost in enumerate(slower)]
    timeline = SimpleNamespace(moments=moments, step_seconds=costs, sound_seconds=2300.0)
    stages = SimpleNamespace(decodes=[SimpleNamespace(resident_mb=100.0 + i // 1000) for i in range(2300)])
    compared = growth(timeline, stages, 750.0, list(enumerate(slower)))  # type: ignore[arg-type]
    assert compared["measured_ratio"] > 1.5
    assert compared["step_cost_ratio"] == pytest.approx(1, abs=0.03)
    assert (compared["seconds_compared"], compared["resident_mb"]) == (750, 2)


def test_the_speed_process_answers_and_ends() -> None:
    with MachineSpeed() as machine_speed:
        assert machine_speed.measure() > 0 and machine_speed.measure() > 0
    assert machine_speed.process.returncode == 0


def test_a_speed_process_that_died_is_an_error_of_one_line() -> None:
    with MachineSpeed() as machine_speed:
        machine_speed.process.kill()
        machine_speed.process.wait()
        with pytest.raises(LivecapError, match=r"ended with status -9\.$"):
            machine_speed.measure()
