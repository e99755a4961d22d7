"""The measure of speaker labels counts what it says, and made meetings are what they claim to be."""

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks import diarisation
from benchmarks.diarisation import (
    KINDS,
    Kind,
    Meeting,
    Stage,
    Utterance,
    cpwer,
    error,
    first_words,
    means,
    most_common,
    read_rttm,
    shown_live,
    voiced_spans,
    wrong_words,
)
from livecap.audio_in.source import AudioBlock
from livecap.audio_in.vad import SpeechEnded, SpeechStarted
from livecap.transcript import SAMPLE_RATE, Word
from tests.speakers.scripted import LevelDiariser, turns_of

S = SAMPLE_RATE


def test_each_part_of_the_error_is_counted():
    truth = turns_of((0, 4, 0), (4, 8, 1), (7, 8, 0))
    assert error(truth, truth, 10 * S) == pytest.approx([0, 0, 0, 0])
    assert error(truth, [], 10 * S) == pytest.approx([1, 1, 0, 0])
    assert error(truth, turns_of((0, 4, 1), (4, 8, 0), (8, 9, 0)), 10 * S) == pytest.approx([2 / 9, 1 / 9, 1 / 9, 0])
    assert error(truth, turns_of((0, 5, 0), (5, 8, 1), (7, 8, 0)), 10 * S) == pytest.approx([1 / 9, 0, 0, 1 / 9])


def test_a_collar_and_the_beginning_do_not_count():
    truth, late = turns_of((0, 4, 0), (4, 8, 1)), turns_of((0, 4.2, 0), (4.2, 8, 1))
    assert error(truth, late, 10 * S)[0] > 0
    assert error(truth, late, 10 * S, collar=0.25)[0] == 0
    assert error(truth, late, 10 * S, after=5 * S)[0] == 0


@given(st.integers(1, 4), st.integers(1, 4), st.data())
def test_the_best_naming_is_found(n_true, n_found, data):
    common = np.array(data.draw(st.lists(st.integers(0, 9), min_size=n_true * n_found, max_size=n_true * n_found)))
    common = common.reshape(n_true, n_found)
    square = np.zeros((4, 4), np.int64)
    square[:n_true, :n_found] = common
    assert most_common(common) == max(sum(square[i, k] for i, k in enumerate(some)) for some in permutations(range(4)))


def test_words_of_the_wrong_speaker_are_counted():
    words = [(Word("a", i * S, i * S + S // 2, "aligned"), i % 2) for i in range(4)]
    assert wrong_words(Meeting(np.zeros(0), [], words), turns_of((0, 1, 1), (1, 2, 0), (2, 4, 1))) == 0.25


def test_cpwer_counts_the_words_of_each_speaker_under_the_best_naming():
    """The values are those of meeteval 0.4.3."""
    words = [(Word(text, i * S, i * S + S // 2, "aligned"), speaker) for i, (text, speaker) in enumerate(SAID)]
    meeting = Meeting(np.zeros(0), [], words)
    assert cpwer(meeting, turns_of((0, 1, 1), (1, 3, 0), (3, 4, 1), (4, 6, 0))) == pytest.approx(4 / 6)
    assert cpwer(meeting, turns_of((0, 6, 4))) == pytest.approx(4 / 6)
    assert cpwer(meeting, turns_of(*((i, i + 1, 9 - speaker) for i, (_, speaker) in enumerate(SAID)))) == 0


SAID = [("a", 0), ("b", 1), ("c", 0), ("d", 0), ("e", 1), ("c", 0)]


class ScriptedDetector:
    """Speech in 1..4 s, 5..9 s and 10..13 s."""

    spans = ((S, 4 * S), (5 * S, 9 * S), (10 * S, 13 * S))

    def accept(self, block: AudioBlock):
        for start, end in self.spans:
            if block.start_sample <= start < block.end_sample:
                yield SpeechStarted(start)
            if block.start_sample <= end < block.end_sample:
                yield SpeechEnded(end)


def test_what_a_live_session_shows_of_a_meeting_is_measured(monkeypatch):
    monkeypatch.setattr(diarisation, "SpeechDetector", ScriptedDetector)
    spoken = ((0, 1), (1, 3), (0, 1), (1, 2.4), (2, 1.6), (0, 1), (2, 3), (0, 1))
    sound = np.concatenate([np.full(round(seconds * S), level / 10, np.float32) for level, seconds in spoken])
    shown = shown_live(LevelDiariser(), sound)
    rounded = [(round(t.start / S, 1), round(t.end / S, 1), t.speaker) for t in shown.first]
    assert rounded == [(1, 4, 0), (5, 7.4, 0), (7.4, 9, 1), (10, 13, 1)]
    assert shown.settled == shown.first and shown.changes_per_hour == 0 and shown.cost_ms > 0


def test_live_labels_are_compared_with_settled_ones():
    rows = {
        "quiet": [{"later_der_percent": 4.0, "live_later_der_percent": n} for n in (5.0, 7.0)],
        "real": [{"x": 1.0}],
    }
    assert means(rows) == {
        "quiet": {"sounds": 2, "later_der_percent": 4, "live_later_der_percent": 6, "live_times_settled": 1.5},
        "real": {"sounds": 1, "x": 1},
    }


def test_pauses_of_half_a_second_end_speech():
    voice = np.ones(S, np.float32)
    sound = np.concatenate([voice, np.zeros(S * 2 // 5), voice, np.zeros(S * 6 // 10), voice]).astype(np.float32)
    words = [("one", 0, len(sound))]
    assert voiced_spans(sound, words) == [(0, round(2.4 * S)), (round(3.0 * S), round(4.0 * S))]


def test_noise_beside_words_is_no_speech():
    sound = np.ones(3 * S, np.float32)
    assert voiced_spans(sound, [("one", S, 2 * S)]) == [(round(0.9 * S), round(2.1 * S))]


@pytest.mark.parametrize("name", ["overlap", "noise", "short turns"])
def test_a_made_meeting_has_all_voices_where_its_truth_says(name):
    random = np.random.default_rng(0)
    voices = []
    for _ in range(3):
        sound = (0.1 * random.standard_normal(3 * S)).astype(np.float32)
        words = [(str(i), i * S // 2, (i + 1) * S // 2) for i in range(6)]
        voices.append([Utterance(sound, voiced_spans(sound, words), words)] * 4)
    meeting = Stage(KINDS[name], 40, random).fill(voices)
    assert {turn.speaker for turn in meeting.turns} == {0, 1, 2}
    level = np.square(meeting.sound).mean()
    for turn in meeting.turns:
        assert np.square(meeting.sound[turn.start : turn.end]).mean() > level / 20
    own = sorted((turn for turn in meeting.turns if turn.speaker == 0), key=lambda turn: turn.start)
    assert all(after.start - before.end >= S // 2 for before, after in zip(own, own[1:], strict=False))
    overlapping = sum(a.end > b.start for a, b in zip(meeting.turns, meeting.turns[1:], strict=False))
    assert overlapping or not KINDS[name].overlap


def test_first_words_are_about_a_second():
    words = [("one", 0, S // 2), ("two", S // 2, S), ("three", S, 2 * S)]
    brief = first_words(Utterance(np.ones(2 * S, np.float32), [(0, 2 * S)], words))
    assert len(brief.sound) == S and brief.spans == [(0, S)] and len(brief.words) == 2


def test_rttm_is_read(tmp_path):
    path = tmp_path / "x.rttm"
    path.write_text("SPEAKER x 1 1.5 2.0 <NA> <NA> ann <NA> <NA>\nSPEAKER x 1 3.0 0.5 <NA> <NA> bob <NA> <NA>\n")
    assert read_rttm(path) == turns_of((1.5, 3.5, 0), (3.0, 3.5, 1))


def test_one_voice_is_a_meeting():
    sound = np.ones(S, np.float32)
    voice = [Utterance(sound, [(0, S)], [("a", 0, S)])]
    assert {turn.speaker for turn in Stage(Kind((1,)), 5, np.random.default_rng(0)).fill([voice]).turns} == {0}
