"""Sound that is heard part by part: each part once, with what was said before it."""

import json
from collections import Counter
from itertools import count, pairwise
from pathlib import Path

import numpy as np
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from livecap.speakers.diariser import load_diariser
from livecap.speakers.hearing import CONTEXT_FRAMES, CONTEXT_SAMPLES, Hearing, window_starts
from livecap.speakers.numbers import SpeakerNumbers
from livecap.speakers.windows import WINDOW_FRAMES
from tests.speakers.scripted import LevelDiariser, rounded

SECOND = 16_000
RECORDINGS = Path(__file__).parents[2] / "recordings"


def tone(level: int, seconds: float) -> np.ndarray:
    return np.full(round(seconds * SECOND), level / 10, np.float32)


class Heard:
    """A sound, heard up to each place that a test says."""

    def __init__(self, *parts: np.ndarray, diariser: LevelDiariser | None = None) -> None:
        self.sound = np.concatenate(parts)
        self.numbers = SpeakerNumbers(count().__next__)
        self.hearing = Hearing(diariser or LevelDiariser(), self.numbers)

    def hear(self, start: float, end: float) -> list[tuple[float, float, int]]:
        """(start, end, speaker) of the turns in an utterance, in seconds."""
        first, last = round(start * SECOND), round(end * SECOND)
        before = max(0, first - CONTEXT_SAMPLES)
        self.hearing.hear(before, self.sound[before:last], first)
        return rounded(self.hearing.turns(first, last))


def test_people_keep_their_numbers_from_part_to_part():
    heard = Heard(tone(1, 3), tone(2, 4), tone(0, 9), tone(2, 2), tone(1, 25))
    assert heard.hear(0, 3) == [(0, 3, 0)]
    assert heard.hear(3, 7) == [(3, 7, 1)]
    assert heard.hear(15.9, 18) == [(16, 18, 1)]
    assert heard.hear(18, 43) == [(18, 43, 0)]
    assert rounded(heard.hearing.turns(0, 7 * SECOND)) == [(0, 3, 0), (3, 7, 1)]


def test_a_part_is_heard_once():
    class Counted(LevelDiariser):
        n_embedded = 0

        def embed(self, samples: np.ndarray) -> np.ndarray:
            self.n_embedded += len(samples)
            return super().embed(samples)

    diariser = Counted()
    heard = Heard(tone(1, 4), tone(2, 4), diariser=diariser)
    heard.hear(0, 4)
    heard.hear(3.5, 8)
    heard.hear(3.5, 8)
    assert abs(diariser.n_embedded - 8 * SECOND) < SECOND / 10


def test_what_is_forgotten_is_known_again():
    heard = Heard(tone(1, 3), tone(2, 3), tone(0, 20), tone(2, 3))
    heard.hear(0, 6)
    heard.hearing.forget(6 * SECOND)
    assert heard.hearing.turns(0, 6 * SECOND) == []
    assert heard.hear(26, 29) == [(26, 29, 1)]


@given(st.integers(0, 5000), st.integers(0, 700), st.integers(1, 4000))
def test_windows_overlap_and_the_last_one_ends_with_the_part(first, before, n):
    begin = first + before
    end = begin + n
    starts = window_starts(first, begin, end)
    assert starts[0] >= first and starts[0] <= begin and starts[-1] == max(first, end - WINDOW_FRAMES)
    assert starts[0] <= max(first, begin - CONTEXT_FRAMES) or len(starts) == 1
    assert all(0 < after - start <= WINDOW_FRAMES - 2 * CONTEXT_FRAMES for start, after in pairwise(starts))


def test_two_voices_that_take_turns_have_a_number_each():
    """The real networks; each utterance of the recording is a part."""
    sound = soundfile.read(RECORDINGS / "turns.flac", frames=20 * SECOND, dtype="float32")[0]
    spoken = json.loads((RECORDINGS / "turns.words.json").read_text(encoding="utf-8"))
    hearing = Hearing(load_diariser(), SpeakerNumbers(count().__next__))
    shared: Counter[tuple[str, int]] = Counter()
    for start, end in ((0, 6 * SECOND), (6 * SECOND, 10 * SECOND), (10 * SECOND, 19 * SECOND)):
        before = max(0, start - CONTEXT_SAMPLES)
        hearing.hear(before, sound[before:end], start)
        for turn in hearing.turns(start, end):
            for word in spoken:
                common = min(turn.end, word["end"] * SECOND) - max(turn.start, word["start"] * SECOND)
                shared[word["speaker"], turn.speaker] += max(0, round(common))
    (_, most), (_, second), *others = shared.most_common()
    assert len({speaker for speaker, _ in shared}) == 2 and {number for _, number in shared} == {0, 1}
    assert sum(n for _, n in others) < (most + second) / 10
