"""Long sound is aligned in pieces, each with the text that is said in it."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import soundfile

from livecap.align.aligner import Aligner
from livecap.align.pieces import align, cut_at_pauses
from livecap.errors import SettingsError
from livecap.eval.reference import read_reference
from livecap.transcript import SAMPLE_RATE, Word

RECORDINGS = Path(__file__).parents[2] / "recordings"


class TrueTimes:
    """Stands in for an aligner: spreads the words of a piece over its sound, and keeps what it was given."""

    def __init__(self) -> None:
        self.pieces: list[tuple[int, str]] = []

    def check(self, language: str) -> None:
        Aligner.check(self, language)  # type: ignore[arg-type]

    def words(self, samples: np.ndarray, text: str, language: str) -> tuple[Word, ...]:
        self.pieces.append((len(samples), text))
        texts, n = text.split(), len(samples)
        size = n // max(1, len(texts))
        return tuple(Word(word, i * size, (i + 1) * size, "aligned") for i, word in enumerate(texts))

    _noticed: set[str] = set()

    def _on_notice(self, message: str) -> None:
        raise AssertionError(message)


def never(samples: np.ndarray) -> Sequence[Word]:
    raise AssertionError("the sound fits the aligner")


def said(recording: str) -> tuple[np.ndarray, str, list[Word]]:
    """Sound, text, and the words as a recogniser without an error would hear them."""
    reference = read_reference(RECORDINGS / f"{recording}.flac")
    words = [Word(word.text, word.start_sample, word.end_sample, "attention") for word in reference.words]
    return reference.samples, reference.text, words


@pytest.fixture
def aligner() -> TrueTimes:
    return TrueTimes()


def run(aligner: TrueTimes, samples: np.ndarray, text: str, heard: Sequence[Word], seconds: float) -> tuple[Word, ...]:
    return align(aligner, samples, text, "English", lambda sound: heard, round(seconds * SAMPLE_RATE))  # type: ignore[arg-type]


def misplaced(aligner: TrueTimes, words: Sequence[Word]) -> int:
    """How many words of the text are in a piece in which they were not said."""
    bounds = np.cumsum([0, *(n for n, _ in aligner.pieces)])
    order = iter(words)
    n = 0
    for (_, text), start, end in zip(aligner.pieces, bounds[:-1], bounds[1:], strict=True):
        for word in text.replace("-", " ").split():
            truth = next(order, None)
            assert truth is not None, word
            n += not start <= (truth.start_sample + truth.end_sample) // 2 < end
    return n


def test_sound_that_fits_is_one_piece_and_nothing_is_heard_twice(aligner: TrueTimes) -> None:
    samples, text, _ = said("dictation")
    words = align(aligner, samples, text, "English", never)  # type: ignore[arg-type]
    assert aligner.pieces == [(len(samples), text)] and len(words) == len(text.split())


@pytest.mark.parametrize("recording", ["dictation", "continuous", "meeting"])
def test_each_piece_gets_the_words_that_are_said_in_it(aligner: TrueTimes, recording: str) -> None:
    samples, text, heard = said(recording)
    words = run(aligner, samples, text, heard, 12)
    assert len(aligner.pieces) >= 4 and sum(n for n, _ in aligner.pieces) == len(samples)
    assert "".join(part for _, part in aligner.pieces) == text
    assert misplaced(aligner, heard) == 0
    starts = [word.start_sample for word in words]
    assert starts == sorted(starts) and words[-1].end_sample <= len(samples)
    assert [word.text for word in words] == text.split()


@pytest.mark.parametrize("kept", [0.7, 0.3])
def test_a_recogniser_with_errors_ties_the_text_too(aligner: TrueTimes, kept: float) -> None:
    samples, text, words = said("meeting")
    luck = np.random.default_rng(2)
    wrong = [
        word if luck.random() < kept else Word("mistake", *(word.start_sample, word.end_sample), "") for word in words
    ]
    run(aligner, samples, text, wrong, 20)
    assert misplaced(aligner, words) <= 0.05 * len(words)


def test_where_nothing_is_heard_the_text_runs_with_the_voice(aligner: TrueTimes) -> None:
    samples, text, words = said("silences")
    run(aligner, samples, text, [], 20)
    assert misplaced(aligner, words) <= 0.2 * len(words)


def test_a_text_of_something_else_is_placed_without_an_error(aligner: TrueTimes) -> None:
    samples, _, heard = said("dictation")
    words = run(aligner, samples, "lorem ipsum dolor", heard, 10)
    assert [word.text for word in words] == ["lorem", "ipsum", "dolor"]
    assert run(aligner, samples, "", heard, 10) == ()


def test_no_piece_of_text_begins_at_a_small_kana(aligner: TrueTimes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("livecap.align.units.find_spec", lambda name: None)
    monkeypatch.setattr(aligner, "_on_notice", lambda message: None)
    samples, _, _ = said("continuous")
    text = "がっこうのパーティー" * 9
    align(aligner, samples, text, "Japanese", lambda sound: [], 5 * SAMPLE_RATE)  # type: ignore[arg-type]
    parts = [part for _, part in aligner.pieces]
    assert "".join(parts) == text and len(parts) > 5
    assert not any(part[:1] in ("っ", "ー", "ィ") for part in parts)


def test_silence_has_no_words_to_run_with(aligner: TrueTimes) -> None:
    words = run(aligner, np.zeros(40 * SAMPLE_RATE, np.float32), "one two three", [], 10)
    assert [word.text for word in words] == ["one", "two", "three"]


def test_pieces_are_cut_in_pauses_and_none_is_too_long() -> None:
    samples, _, words = said("meeting")
    pieces, voiced = cut_at_pauses(samples, 30 * SAMPLE_RATE)
    assert all(0 < end - start <= 30 * SAMPLE_RATE for start, end in pieces)
    assert [start for start, _ in pieces[1:]] == [end for _, end in pieces[:-1]]
    cuts = [end for _, end in pieces[:-1]]
    assert not any(word.start_sample < cut < word.end_sample for cut in cuts for word in words)
    assert voiced == sorted(voiced)


def test_progress_ends_with_the_sound(aligner: TrueTimes) -> None:
    samples, text, heard = said("dictation")
    told: list[tuple[int, int]] = []
    align(aligner, samples, text, "English", lambda sound: heard, 10 * SAMPLE_RATE, lambda *now: told.append(now))  # type: ignore[arg-type]
    assert told == sorted(told) and told[-1] == (len(samples), len(samples))


def test_a_text_that_nobody_can_say_in_that_time_is_refused_before_the_sound_is_heard(aligner: TrueTimes) -> None:
    with pytest.raises(SettingsError, match="201 words for 20 s of sound: more than can be said"):
        align(aligner, np.zeros(20 * SAMPLE_RATE, np.float32), "a " * 201, "English", never, 10 * SAMPLE_RATE)  # type: ignore[arg-type]


def test_an_unknown_language_is_refused_before_the_sound_is_heard(aligner: TrueTimes) -> None:
    with pytest.raises(SettingsError, match="does not know Thai"):
        align(aligner, np.zeros(100, np.float32), "a", "Thai", never, 10)  # type: ignore[arg-type]


def test_the_embedded_model_ties_text_to_sound() -> None:
    from livecap.engine import Engine, EngineSettings
    from livecap.transcribe.heard import heard_words

    samples = soundfile.read(RECORDINGS / "turns.flac", dtype="float32")[0]
    _, text, words = said("turns")
    aligner = TrueTimes()
    with Engine.load(EngineSettings("tiny")) as engine:
        align(aligner, samples, text, "English", lambda sound: heard_words(engine, sound), 15 * SAMPLE_RATE)  # type: ignore[arg-type]
    assert len(aligner.pieces) >= 3 and misplaced(aligner, words) == 0
