"""Engine: one model for many transcribers, changed without loading again, and a thread that can end afterwards."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from livecap.engine import Engine, EngineSettings
from livecap.errors import ModelError
from livecap.eval.reference import read_reference
from livecap.shipped import demo_recording
from livecap.stream.config import ChunkConfig, StreamConfig
from livecap.transcribe.files import transcribe
from livecap.transcript import SAMPLE_RATE

TINY = EngineSettings("tiny")


@pytest.fixture(scope="module")
def sound() -> np.ndarray:
    samples = read_reference(demo_recording()).samples
    return samples[: 6 * SAMPLE_RATE]


def test_language_and_context_change_without_loading_again(sound: np.ndarray) -> None:
    with Engine.load(TINY) as engine:
        before, tokenizer = transcribe(engine, sound), engine.tokenizer
        engine.change(
            replace(
                TINY, language="German", context="Waltham", stream=StreamConfig(chunk=ChunkConfig(chunk_seconds=1.0))
            )
        )
        assert engine.tokenizer is tokenizer
        assert engine.transcriber("me").language == "German"
        engine.change(TINY)
        assert engine.transcriber().language is None
        assert transcribe(engine, sound) == before != ""


def test_a_model_that_cannot_be_loaded_leaves_the_engine_as_it_was(tmp_path: Path, sound: np.ndarray) -> None:
    with Engine.load(TINY) as engine:
        before = transcribe(engine, sound)
        with pytest.raises(ModelError):
            engine.change(EngineSettings(tmp_path / "missing", language="German"))
        assert engine.settings == TINY and transcribe(engine, sound) == before


def test_the_same_folder_under_another_name_is_not_loaded_again() -> None:
    with Engine.load(TINY) as engine:
        tokenizer = engine.tokenizer
        import livecap

        engine.change(EngineSettings(Path(livecap.__file__).parent / "tiny"))
        assert engine.tokenizer is tokenizer


def test_two_transcribers_of_one_engine_do_not_disturb_each_other(sound: np.ndarray) -> None:
    with Engine.load(TINY) as engine:
        one, two = engine.recogniser(), engine.recogniser()
        alone = engine.recogniser()
        texts = []
        for recogniser in (alone, one, two):
            recogniser.begin(0)
        alone.append(sound)
        expected = alone.decode((), (), (), 64).ids
        for recogniser in (one, two):
            recogniser.append(sound)
        two.decode((), (), (), 3)
        texts = [recogniser.decode((), (), (), 64).ids for recogniser in (one, two)]
        assert texts == [expected, expected]


THREADS = """
import threading
from livecap.engine import Engine, EngineSettings
from livecap.errors import ModelError
from livecap.model.backend import mx

def computes():
    try:
        mx.eval(mx.ones((8, 8)) @ mx.ones((8, 8)))
    except RuntimeError:  # this thread has no streams
        return False
    return True

def work():
    first, second = (Engine.load(EngineSettings("tiny")) for _ in range(2))
    first.close()
    first.close()
    assert computes(), "another engine of the thread still runs"
    second.close()
    with Engine.load(EngineSettings("tiny")) as third:
        assert computes(), "the thread can load again"
    done.append("dirty" if computes() else "worked")

def fails():
    computes()
    try:
        Engine.load(EngineSettings("./missing"))
    except ModelError:
        done.append("dirty" if computes() else "failed")

done = []
for target in (work, fails, work):
    thread = threading.Thread(target=target)
    thread.start()
    thread.join()
with Engine.load(EngineSettings("tiny")) as engine:
    pass
print(*done, "main" if computes() else "no main")
"""


def test_a_thread_ends_without_streams_but_the_main_thread_keeps_them() -> None:
    done = subprocess.run([sys.executable, "-c", THREADS], capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout.split(), done.stderr) == (0, ["worked", "failed", "worked", "main"], "")


@pytest.mark.parametrize(
    ("config", "name"),
    [
        ({"quantization": {"bits": 4}}, "my-model 4-bit"),
        ({}, "my-model"),
        ({"quantization": "odd"}, "my-model"),
        ([], "my-model"),
    ],
)
def test_the_name_for_people_says_how_the_model_is_packed(tmp_path: Path, config: object, name: str) -> None:
    folder = tmp_path / "my-model"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(config))
    assert EngineSettings(f"{folder}/").model_name == name
    assert EngineSettings(folder).model_name == name


def test_a_name_without_a_folder_is_its_last_part() -> None:
    assert EngineSettings("someone/Qwen3-ASR-9B-8bit").model_name == "Qwen3-ASR-9B-8bit"
    assert EngineSettings("tiny").model_name == "tiny"
