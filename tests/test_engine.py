"""Engine: one model for many transcribers, changed without loading again, and a thread that can end afterwards."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from livecap import engine as engines
from livecap.engine import Engine, EngineSettings
from livecap.errors import ModelError
from livecap.eval.offline import offline_text
from livecap.eval.reference import read_reference
from livecap.model.backend import mx
from livecap.model.cache import PromptCache
from livecap.model.numpy.network import NumpyQwen3ASR
from livecap.shipped import demo_recording
from livecap.stream.config import ChunkConfig, StreamConfig
from livecap.transcript import SAMPLE_RATE

TINY = EngineSettings("tiny")


@pytest.fixture(scope="module")
def sound() -> np.ndarray:
    samples = read_reference(demo_recording()).samples
    return samples[: 6 * SAMPLE_RATE]


def test_language_and_context_change_without_loading_again(sound: np.ndarray) -> None:
    with Engine.load(TINY) as engine:
        before, tokenizer = offline_text(engine, sound), engine.tokenizer
        engine.change(
            replace(
                TINY, language="German", context="Waltham", stream=StreamConfig(chunk=ChunkConfig(chunk_seconds=1.0))
            )
        )
        assert engine.tokenizer is tokenizer
        assert engine.transcriber("me").language == "German"
        engine.change(TINY)
        assert engine.transcriber().language is None
        assert offline_text(engine, sound) == before != ""


def test_a_model_that_cannot_be_loaded_leaves_the_engine_as_it_was(tmp_path: Path, sound: np.ndarray) -> None:
    with Engine.load(TINY) as engine:
        before = offline_text(engine, sound)
        with pytest.raises(ModelError):
            engine.change(EngineSettings(tmp_path / "missing", language="German"))
        assert engine.settings == TINY and offline_text(engine, sound) == before


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

def is_refused():
    def refuse(notice):
        raise ZeroDivisionError

    try:
        Engine.load(EngineSettings("tiny", context="Priya, " * 2000), refuse)
    except ZeroDivisionError:
        done.append("dirty" if computes() else "refused")

done = []
for target in (work, fails, is_refused, work):
    thread = threading.Thread(target=target)
    thread.start()
    thread.join()
with Engine.load(EngineSettings("tiny")) as engine:
    pass
print(*done, "main" if computes() else "no main")
"""


def test_a_thread_ends_without_streams_but_the_main_thread_keeps_them() -> None:
    done = subprocess.run([sys.executable, "-c", THREADS], capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout.split(), done.stderr) == (
        0,
        ["worked", "failed", "refused", "worked", "main"],
        "",
    )


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


NAMES = [f"Kowalski{n}" for n in range(4000)]


@pytest.mark.parametrize("n_names", [20, 80, 4000])
def test_a_long_context_is_shortened_once_and_text_stays(sound: np.ndarray, n_names: int) -> None:
    said: list[str] = []
    given = ", ".join(NAMES[:n_names])
    with Engine.load(replace(TINY, context=given), said.append) as engine:
        [notice] = [line for line in said if "Names and terms" in line]
        used = int(notice.split("the first ")[1].split(" of ")[0].replace(",", ""))
        assert f"the first {used} of {len(given):,} characters are used" in notice
        assert f'up to "{given[:used].split()[-1]}". tiny takes no more' in notice
        assert given[used] == "," and len(engine.tokenizer.encode(given[:used])) <= 32
        text = offline_text(engine, sound)
        assert len(text.split()) > 5 and "language" not in text
        engine.transcriber("me"), engine.transcriber("them")
        engine.change(replace(TINY, context=given, language="English"), said.append)
        assert len([line for line in said if "Names and terms" in line]) == 1, "the same part is not told again"
        engine.change(replace(TINY, context=given[:used]), said.append)
        assert offline_text(engine, sound) == text and len([line for line in said if "Names" in line]) == 1


def test_a_context_that_fits_is_used_without_a_word() -> None:
    said: list[str] = []
    with Engine.load(replace(TINY, context="Priya, Kowalski"), said.append) as engine:
        engine.change(replace(TINY, context=", ".join(NAMES)), said.append)
    assert len([line for line in said if "Names and terms" in line]) == 1


def test_each_kind_of_pass_runs_before_the_first_sound_on_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    lengths: list[tuple[int, int | None]] = []
    call = NumpyQwen3ASR.__call__

    def counted(self: NumpyQwen3ASR, embeddings: mx.array, cache: PromptCache, n_last: int | None = None) -> mx.array:
        lengths.append((embeddings.shape[1], n_last))
        return call(self, embeddings, cache, n_last)

    monkeypatch.setattr(NumpyQwen3ASR, "__call__", counted)
    with Engine.load(TINY) as engine:
        engine.warm_up()
        assert not lengths, "a processor makes no kernels"
        monkeypatch.setattr(engines, "on_cpu", False)
        engine.warm_up()
    assert lengths[0][0] > 20 and lengths[0][1] == 1, "a prompt with sound"
    assert lengths[-2:] == [(1, None), (9, None)], "a token, and a round of guesses"
