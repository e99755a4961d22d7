"""Real networks on the recordings of the repository, and the steps after them on scripted voices."""

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from livecap.archive.speakers import speakers_of
from livecap.speakers.diariser import DiariserConfig, VoiceDiariser, load_diariser
from livecap.speakers.fbank import log_mel
from livecap.transcript import SAMPLE_RATE
from tests.speakers.scripted import LevelDiariser, rounded

RECORDINGS = Path(__file__).parents[2] / "recordings"


@pytest.fixture(scope="module")
def diariser() -> VoiceDiariser:
    return load_diariser()


def recording(name: str, seconds: float) -> np.ndarray:
    return soundfile.read(RECORDINGS / f"{name}.flac", frames=round(seconds * SAMPLE_RATE), dtype="float32")[0]


def test_two_voices_get_their_words(diariser):
    found = diariser.turns(recording("turns", 30))
    spoken = json.loads((RECORDINGS / "turns.words.json").read_text(encoding="utf-8"))
    spoken = [word for word in spoken if word["end"] < 29]
    spans = [(round(word["start"] * SAMPLE_RATE), round(word["end"] * SAMPLE_RATE)) for word in spoken]
    chosen = speakers_of(spans, [turn.voice for turn in found])
    pairs = {(word["speaker"], speaker) for word, speaker in zip(spoken, chosen, strict=True)}
    assert len(pairs) == 2 and {speaker for _, speaker in pairs} == {0, 1}


def test_one_voice_is_not_split_even_where_it_is_loud_and_then_quiet(diariser):
    sound = recording("dictation", 20)
    sound[10 * SAMPLE_RATE :] *= 0.1
    found = diariser.turns(sound)
    assert {turn.speaker for turn in found} == {0}
    assert sum(turn.end - turn.start for turn in found) > 10 * SAMPLE_RATE


def test_a_voice_is_alike_with_itself_only(diariser):
    """The two voices of `turns` take turns of about three seconds."""
    sound = recording("turns", 13)
    one, other, again = (
        diariser.embed(sound[round(start * SAMPLE_RATE) : round(end * SAMPLE_RATE)])
        for start, end in ((0.5, 2.7), (3.1, 6.1), (6.6, 9.4))
    )
    assert np.linalg.norm(one) == pytest.approx(1, abs=1e-5)
    assert one @ again > 0.6 > 0.4 > max(one @ other, again @ other)


@pytest.mark.parametrize("n", [0, 1, 500, 4000])
def test_any_length_of_sound_has_an_answer(diariser, n):
    assert diariser.turns(np.zeros(n, np.float32)) == []
    assert np.isfinite(diariser.embed(np.zeros(n, np.float32))).all()


def tone(level: int, seconds: float) -> np.ndarray:
    return np.full(round(seconds * SAMPLE_RATE), level / 10, np.float32)


@pytest.fixture
def scripted() -> LevelDiariser:
    return LevelDiariser()


def test_people_are_recognised_over_many_windows_and_numbered_as_they_appear(scripted):
    sound = np.concatenate(
        [tone(3, 2), tone(0, 1), tone(1, 3), tone(0, 20), tone(3, 4), tone(2, 2), tone(0, 1), tone(1, 2)]
    )
    assert rounded(scripted.turns(sound)) == [(0, 2, 0), (3, 6, 1), (26, 30, 0), (30, 32, 2), (33, 35, 1)]


def test_the_number_of_speakers_can_be_given_or_bounded(scripted):
    sound = np.concatenate([tone(1, 3), tone(2, 3), tone(3, 3)])
    counts = {n: len({turn.speaker for turn in scripted.turns(sound, speakers=n)}) for n in (1, 2, 3)}
    assert counts == {1: 1, 2: 2, 3: 3}
    assert len({turn.speaker for turn in scripted.turns(sound, at_most=2)}) == 2


def test_a_sound_of_a_moment_is_no_speaker(scripted):
    sound = np.concatenate([tone(1, 20), tone(0, 1), tone(3, 1.2), tone(0, 1), tone(1, 20)])
    assert {turn.speaker for turn in scripted.turns(sound)} == {0}


def test_a_speaker_of_few_words_is_found_in_a_short_sound(scripted):
    sound = np.concatenate([tone(1, 5), tone(0, 0.5), tone(3, 0.8), tone(0, 0.5), tone(1, 5)])
    assert rounded(scripted.turns(sound)) == [(0, 5, 0), (5.5, 6.3, 1), (6.8, 11.8, 0)]


def test_long_sound_is_gathered_first_with_the_same_answer():
    sound = np.concatenate([tone(1 + i % 3, 3) for i in range(40)])
    plain, bounded = (LevelDiariser(DiariserConfig(most_items=n, most_gathered=6)).turns(sound) for n in (1500, 10))
    assert plain == bounded and len(plain) == 40


def test_sound_may_be_read_piece_by_piece(scripted):
    class Recorded:
        """Sound that is never in memory as a whole."""

        def __init__(self, samples: np.ndarray) -> None:
            self._samples = samples
            self.longest = 0

        def __len__(self) -> int:
            return len(self._samples)

        def __getitem__(self, span: slice) -> np.ndarray:
            part = self._samples[span]
            self.longest = max(self.longest, len(part))
            return part

    samples = np.concatenate([tone(1, 30), tone(2, 30)])
    recorded = Recorded(samples)
    assert scripted.turns(recorded) == scripted.turns(samples)
    assert recorded.longest <= 10 * SAMPLE_RATE


def test_log_mel_takes_part_of_an_array():
    sound = np.random.default_rng(0).standard_normal(3200).astype(np.float32)
    assert np.array_equal(log_mel(np.stack([sound, sound], axis=1)[:, 0]), log_mel(sound))
