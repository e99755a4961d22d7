"""`--pace max` with a chunk takes the steps of a live session on a machine with free compute: those of eval."""

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import soundfile

from livecap.cli.main import run
from livecap.engine import Engine, EngineSettings
from livecap.eval.timeline import play
from livecap.stream.config import ChunkConfig, StreamConfig

RECORDING = Path(__file__).parents[2] / "recordings" / "dictation.flac"
CHUNKS = {"0.5": 0.5, "2": 2.0, "auto": None}


@pytest.fixture(scope="module")
def sound() -> np.ndarray:
    """6 s of speech with pauses, [n] float32."""
    return soundfile.read(RECORDING, dtype="float32", frames=6 * 16_000)[0]


Shown = Callable[..., list[tuple[str, str]]]


@pytest.fixture
def shown(capfd: pytest.CaptureFixture[str]) -> Shown:
    """Runs a session; returns the stable and partial text of each update."""

    def shown(*options: str) -> list[tuple[str, str]]:
        assert run([*options, "--no-settle", "--model", "tiny", "--json"]) == 0
        events = [json.loads(line) for line in capfd.readouterr().out.splitlines()]
        return [(event["stable"], event["partial"]) for event in events if event["type"] == "update"]

    return shown


def by_eval(sound: np.ndarray, chunk_seconds: float | None) -> list[tuple[str, str]]:
    """The same as `livecap eval` measures it."""
    stream = StreamConfig(ChunkConfig(chunk_seconds, 0.0))
    with Engine.load(EngineSettings("tiny", stream=stream, settle=False)) as engine:
        timeline = play(engine.transcriber(), sound, 0.0)
    return [(moment.update.stable, moment.update.partial) for moment in timeline.moments]


@pytest.mark.parametrize("chunk", CHUNKS)
def test_a_replay_at_full_speed_takes_the_steps_of_eval(
    chunk: str, sound: np.ndarray, tmp_path: Path, shown: Shown
) -> None:
    soundfile.write(tmp_path / "clip.flac", sound, 16_000)
    replay = ["--replay", str(tmp_path / "clip.flac"), "--pace", "max"]
    assert shown(*replay, "--chunk", chunk, "--log-dir", str(tmp_path)) == by_eval(sound, CHUNKS[chunk])


@contextmanager
def standard_input(path: Path) -> Iterator[None]:
    """Within this block the process reads a file as its standard input."""
    before = os.dup(0)
    with path.open("rb") as file:
        os.dup2(file.fileno(), 0)
    try:
        yield
    finally:
        os.dup2(before, 0)
        os.close(before)


def test_a_chunk_replaces_the_recorded_steps_of_a_session(sound: np.ndarray, tmp_path: Path, shown: Shown) -> None:
    np.round(sound * 32767).astype("<i2").tofile(tmp_path / "sound.raw")
    with standard_input(tmp_path / "sound.raw"):
        recorded = shown("--stdin", "--chunk", "1.3", "--save-audio", "--log-dir", str(tmp_path))
    [session] = [path.parent for path in tmp_path.glob("*/session.jsonl")]
    replay = ["--replay", str(session), "--pace", "max", "--log-dir", str(tmp_path / "again")]
    assert shown(*replay) == recorded
    assert shown(*replay, "--chunk", "auto") == by_eval(sound, None) != recorded
