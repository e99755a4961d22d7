"""`--pace max` with a chunk takes the steps of a live session with free compute: those of `livecap eval`."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import soundfile

from livecap.engine import Engine, EngineSettings
from livecap.eval.timeline import play
from livecap.stream.config import ChunkConfig, StreamConfig

RECORDING = Path(__file__).parents[2] / "recordings" / "dictation.flac"


@pytest.mark.parametrize("chunk_seconds", [0.5, 2.0])
def test_a_replay_at_full_speed_takes_the_steps_of_eval(chunk_seconds: float, tmp_path: Path) -> None:
    sound, rate = soundfile.read(RECORDING, dtype="float32", frames=12 * 16_000)
    soundfile.write(tmp_path / "clip.flac", sound, rate)
    command = ["--replay", str(tmp_path / "clip.flac"), "--pace", "max", "--chunk", str(chunk_seconds), "--no-settle"]
    command += ["--model", "tiny", "--json", "--log-dir", str(tmp_path)]
    done = subprocess.run([sys.executable, "-m", "livecap", *command], capture_output=True, text=True, check=True)
    events = [json.loads(line) for line in done.stdout.splitlines()]
    shown = [(event["stable"], event["partial"]) for event in events if event["type"] == "update"]
    stream = StreamConfig(ChunkConfig(chunk_seconds, 0.0))
    with Engine.load(EngineSettings("tiny", stream=stream, settle=False)) as engine:
        timeline = play(engine.transcriber(), sound, 0.0)
    assert shown == [(moment.update.stable, moment.update.partial) for moment in timeline.moments]
