"""Settled words have the times of the forced aligner where one is loaded and knows their language."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from livecap.align.aligner import Aligner
from livecap.engine import Engine, EngineSettings
from livecap.eval.timeline import play
from livecap.transcript import SAMPLE_RATE, UtteranceSettled, Word
from tests.model.parity import DATA

SOUND = Path(__file__).parents[2] / "recordings" / "turns.flac"


def settled(engine: Engine) -> list[UtteranceSettled]:
    sound = soundfile.read(SOUND, dtype="float32", frames=8 * SAMPLE_RATE)[0]
    return play(engine.transcriber(), sound, step_cost=0.1).settled


def test_the_aligner_places_the_words_of_each_utterance(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[int, str, str]] = []

    def words(self: Aligner, samples: np.ndarray, text: str, language: str) -> tuple[Word, ...]:
        asked.append((len(samples), text, language))
        return tuple(Word(word, 100 * i, 100 * i + 50, "aligned") for i, word in enumerate(text.split()))

    monkeypatch.setattr(Aligner, "words", words)
    found = settled(Engine.load(EngineSettings("tiny", aligner=DATA / "aligner")))
    assert found and len(asked) == len(found)
    for item, (n_samples, text, language) in zip(found, asked, strict=True):
        assert (n_samples, text, language) == (item.end_sample - item.start_sample, item.text, "English")
        assert [word.text for word in item.words] == item.text.split()
        assert [word.start_sample for word in item.words] == [
            item.start_sample + 100 * i for i in range(len(item.words))
        ]
        assert {word.quality for word in item.words} == {"aligned"}


def test_a_real_aligner_runs_beside_the_recogniser() -> None:
    for item in settled(Engine.load(EngineSettings("tiny", aligner=DATA / "aligner"))):
        assert {word.quality for word in item.words} == {"aligned"}
        edges = [edge for word in item.words for edge in (word.start_sample, word.end_sample)]
        assert edges == sorted(edges) and item.start_sample <= edges[0] and edges[-1] <= item.end_sample


def test_a_language_that_the_aligner_does_not_know_keeps_the_times_of_attention() -> None:
    engine = Engine.load(EngineSettings("tiny", language="Thai", aligner=DATA / "aligner"))
    assert {word.quality for item in settled(engine) for word in item.words} <= {"attention", "settled"}


def test_a_text_that_is_too_long_for_its_sound_keeps_the_times_of_attention() -> None:
    engine = Engine.load(EngineSettings("tiny", aligner=DATA / "aligner"))
    assert engine.align(np.zeros(SAMPLE_RATE, np.float32), "word " * 5000, "English") == ()


def test_an_aligner_that_cannot_be_used_costs_no_session(tmp_path: Path) -> None:
    notices: list[str] = []
    engine = Engine.load(EngineSettings("tiny", aligner=tmp_path), notices.append)
    assert len([notice for notice in notices if "do not come from the forced aligner" in notice]) == 1
    assert {word.quality for item in settled(engine) for word in item.words} == {"attention"}


def test_another_aligner_is_loaded_when_the_settings_change() -> None:
    engine = Engine.load(EngineSettings("tiny"))
    engine.change(EngineSettings("tiny", aligner=DATA / "aligner"))
    assert {word.quality for item in settled(engine) for word in item.words} == {"aligned"}
    engine.change(EngineSettings("tiny"))
    assert {word.quality for item in settled(engine) for word in item.words} == {"attention"}
