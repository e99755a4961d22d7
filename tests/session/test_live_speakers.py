"""Labels while people speak: a first impression early, parts at the end of an utterance, settled labels at the end."""

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from livecap.archive.recorded import RecordedSession
from livecap.audio_in.source import AudioBlock
from livecap.session import live_speakers
from livecap.session.live_speakers import LiveSpeakers
from livecap.speakers.diariser import VoiceDiariser
from livecap.speakers.hearing import Hearing
from livecap.speakers.known import Known
from livecap.speakers.networks import EMBEDDING_SIZE, n_frames
from livecap.speakers.numbers import SpeakerNumbers
from livecap.speakers.turns import Turn
from livecap.transcript import Jumped, SpeakerNamed, SpeakersHeard, TranscriptUpdate
from tests.session.scripted import ScriptedSource, make_session
from tests.speakers.scripted import LevelDiariser

SECOND = 16_000
TOM, PRIYA = 0.25, 0.5
"""Levels of their voices."""


class Talk:
    """Speakers that are heard, and the facts that follow."""

    def __init__(
        self, load: Callable[[], VoiceDiariser] = LevelDiariser, known: Known | None = None, live: bool = True
    ) -> None:
        self.facts: list[Any] = []
        self.notices: list[str] = []
        self.speakers = LiveSpeakers(load, known)
        self.speakers.start(self.facts.append, lambda message, severity="": self.notices.append(message), live)
        self.at = 0

    def hear(self, *voices: tuple[float, float], track: str = "") -> None:
        """(level, seconds) of each voice in turn."""
        for level, seconds in voices:
            n = round(seconds * SECOND)
            self.speakers.hear(track, AudioBlock(self.at, np.full(n, level, np.float32)))
            self.at += n

    def update(self, utterance: int, start: float, end: float, final: bool = True, track: str = "") -> None:
        span = round(start * SECOND), round(end * SECOND)
        self.speakers(TranscriptUpdate(track, utterance, "Well.", "", *span, "English", final))

    def said(self, utterance: int, *voices: tuple[float, float], track: str = "") -> None:
        start = self.at / SECOND
        self.hear(*voices, track=track)
        self.update(utterance, start, self.at / SECOND, track=track)

    def close(self) -> list[tuple[int, list[tuple[float, float, int]], bool]]:
        self.speakers.close()
        return [
            (
                fact.utterance,
                [(round(v.start_sample / SECOND, 1), round(v.end_sample / SECOND, 1), v.speaker) for v in fact.voices],
                fact.settled,
            )
            for fact in self.facts
        ]


def test_each_utterance_gets_a_first_impression_and_then_a_settled_label() -> None:
    talk = Talk()
    talk.said(0, (TOM, 3))
    talk.said(1, (PRIYA, 4))
    talk.said(2, (TOM, 2))
    expected = [(0, [(0, 3, 0)]), (1, [(3, 7, 1)]), (2, [(7, 9, 0)])]
    assert talk.close() == [(*each, settled) for settled in (False, True) for each in expected]


def test_an_utterance_in_which_the_speaker_changes_is_divided_at_the_change() -> None:
    talk = Talk()
    talk.said(0, (TOM, 3), (PRIYA, 2))
    assert talk.close()[0] == (0, [(0, 3, 0), (3, 5, 1)], False)


def test_an_open_utterance_of_a_known_voice_is_labelled_before_its_end_and_again_at_its_end() -> None:
    talk = Talk()
    talk.hear((TOM, 2))
    talk.update(0, 0, 2, final=False)
    talk.hear((TOM, 2))
    talk.update(0, 0, 3, final=False)
    talk.update(0, 0, 4)
    talk.hear((TOM, 2))
    talk.update(1, 4, 6, final=False)
    talk.hear((PRIYA, 2))
    talk.update(1, 4, 8)
    first = [fact for fact in talk.close() if not fact[2]]
    assert first == [
        (0, [(0, 4, 0)], False),
        (1, [(4, 6, 0)], False),
        (1, [(4, 6, 0), (6, 8, 1)], False),
    ]


class Counting(LevelDiariser):
    """Counts the sound whose voice is found."""

    n_embedded = 0

    def embed(self, samples: np.ndarray) -> np.ndarray:
        self.n_embedded += len(samples)
        return super().embed(samples)


@pytest.mark.parametrize(
    ("voices", "seconds"),
    [([(TOM, 5.0)], 4.5), ([(TOM, 1.6), (PRIYA, 3.4)], 7.0), ([(TOM, 0.8), (0.0, 0.4), (TOM, 3.8)], 6.6)],
    ids=["one voice", "two voices", "a pause"],
)
def test_the_voice_of_a_first_impression_is_not_found_again_if_it_is_one(
    voices: list[tuple[float, float]], seconds: float
) -> None:
    diariser = Counting()
    talk = Talk(lambda: diariser)
    talk.hear(*voices)
    talk.update(0, 0, 2, final=False)
    talk.update(0, 0, 5)
    numbers = [number for _, _, number in talk.close()[-1][1]]
    assert numbers == ([0, 1] if (PRIYA, 3.4) in voices else [0])
    assert abs(diariser.n_embedded / SECOND - seconds) < 0.2


@pytest.mark.parametrize(
    ("ended", "settled", "expected"),
    [
        ([(0, 4, 1)], [(0, 4, 2)], [(0, 4, 1)]),
        ([(0, 2, 0), (2, 4, 1)], [(0, 2, 2), (2, 4, 1)], [(0, 2, 2), (2, 4, 1)]),
        ([(0, 2, 1), (2, 4, 0)], [], [(0, 2, 1), (2, 4, 0)]),
    ],
    ids=["changed at its end", "divided at its end", "nobody"],
)
def test_a_label_changes_at_most_once(
    monkeypatch: pytest.MonkeyPatch, ended: list[Any], settled: list[Any], expected: list[Any]
) -> None:
    found = [[Turn(start * SECOND, end * SECOND, who) for start, end, who in turns] for turns in (ended, settled)]
    monkeypatch.setattr(SpeakerNumbers, "known", lambda *_: 0)
    monkeypatch.setattr(Hearing, "turns", lambda *_: found.pop(0))
    talk = Talk()
    talk.hear((TOM, 4))
    talk.update(0, 0, 2, final=False)
    talk.update(0, 0, 4)
    assert [voices for _, voices, _ in talk.close()] == [[(0, 2, 0)], ended, expected]


def test_a_short_word_in_the_first_utterance_belongs_to_its_speaker() -> None:
    talk = Talk()
    talk.said(0, (TOM, 3), (PRIYA, 0.6))
    talk.said(1, (TOM, 2))
    assert [voices for _, voices, settled in talk.close() if not settled] == [
        [(0, 3.6, 0)],
        [(3.6, 5.6, 0)],
    ]
    assert talk.notices == []


def test_a_short_word_belongs_to_the_known_voice_that_is_most_alike_and_makes_no_new_speaker() -> None:
    talk = Talk()
    talk.said(0, (TOM, 3))
    talk.said(1, (0.75, 0.6))  # somebody new, but too short to know
    talk.said(2, (0.75, 3))
    assert [voices for _, voices, settled in talk.close() if not settled] == [
        [(0, 3, 0)],
        [(3, 3.6, 0)],
        [(3.6, 6.6, 1)],
    ]


def test_sound_in_which_nobody_speaks_makes_no_speaker() -> None:
    talk = Talk()
    talk.said(0, (0.0, 3))  # text without a voice, as from a cough
    talk.said(1, (TOM, 3))
    assert [voices for _, voices, settled in talk.close() if not settled] == [[], [(3, 6, 0)]]


def test_a_remembered_voice_has_its_name_from_its_first_utterance_on() -> None:
    talk = Talk(known={"Priya": LevelDiariser().embed(np.full(9, PRIYA, np.float32))})
    talk.said(0, (TOM, 3))
    talk.said(1, (PRIYA, 3))
    talk.speakers.close()
    names = [fact for fact in talk.facts if isinstance(fact, SpeakerNamed)]
    assert names == [SpeakerNamed(1, "Priya", remembered=True)]


def test_a_remembered_name_goes_to_one_speaker_of_a_track() -> None:
    embed = LevelDiariser().embed
    like_both = embed(np.full(9, TOM, np.float32)) + embed(np.full(9, PRIYA, np.float32))
    talk = Talk(known={"Priya": like_both / np.sqrt(2)})
    talk.said(0, (TOM, 3))
    talk.said(1, (PRIYA, 3))
    talk.speakers.close()
    names = [fact for fact in talk.facts if isinstance(fact, SpeakerNamed)]
    assert names == [SpeakerNamed(0, "Priya", remembered=True)]


def test_tracks_have_voices_of_their_own() -> None:
    talk = Talk()
    talk.said(0, (TOM, 3), track="me")
    talk.said(0, (TOM, 3), track="them")
    assert {(fact.track, voice.speaker) for fact in (talk.close() and talk.facts) for voice in fact.voices} == {
        ("me", 0),
        ("them", 1),
    }


def test_labels_are_settled_while_the_session_goes_on_and_old_sound_is_forgotten(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(live_speakers, "WHOLE_SAMPLES", 10 * SECOND)
    monkeypatch.setattr(live_speakers, "OPEN_SAMPLES", 2 * SECOND)
    talk = Talk()
    for number in range(6):
        talk.said(number, ((TOM, PRIYA)[number % 2], 4))
    talk.hear((0.0, 60))
    stretch = talk.speakers._stretches[""]  # noqa: SLF001
    facts = talk.close()
    settled = [number for number, _, is_settled in facts if is_settled]
    assert settled == list(range(6)) and [fact[2] for fact in facts].index(True) < 6
    assert talk.at - stretch.start_sample <= 12 * SECOND


class Crowd(LevelDiariser):
    """Always one person in a window, and in each piece the voice of one of five, not twice the same."""

    def __init__(self) -> None:
        super().__init__()
        self._random = np.random.default_rng(0)
        self.networks = self

    def segment(self, windows: np.ndarray) -> np.ndarray:
        found = np.zeros((len(windows), n_frames(windows.shape[1]), 7), np.float32)
        found[..., 1] = 1
        return found

    def embed(self, samples: np.ndarray) -> np.ndarray:
        vector = 0.04 * self._random.standard_normal(EMBEDDING_SIZE).astype(np.float32)
        vector[self._random.integers(5)] += 1
        return vector / np.linalg.norm(vector)  # type: ignore[no-any-return]


def test_half_an_hour_of_talk_has_constant_memory_and_five_people_stay_five(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_speakers, "WHOLE_SAMPLES", 40 * SECOND)
    monkeypatch.setattr(live_speakers, "MOST_KEPT_SAMPLES", 160 * SECOND)
    monkeypatch.setattr(live_speakers, "OPEN_SAMPLES", 30 * SECOND)
    talk = Talk(Crowd, live=False)

    def told(fact: Any) -> None:
        for stretch in talk.speakers._stretches.copy().values():  # noqa: SLF001
            assert stretch.hearing is not None and len(stretch.hearing._parts) <= 7  # noqa: SLF001
            assert len(stretch.closed) <= 4 and stretch.sound.end_sample - stretch.start_sample <= 181 * SECOND
        talk.facts.append(fact)

    talk.speakers._publish = told  # noqa: SLF001
    for number in range(90):
        talk.said(number, (0.1, 20))
    facts = talk.close()
    assert sorted(number for number, voices, settled in facts if settled and voices) == list(range(90))
    assert talk.speakers._n_speakers == 5  # noqa: SLF001


def test_a_recording_waits_for_its_labels_and_none_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_speakers, "WHOLE_SAMPLES", 8 * SECOND)
    monkeypatch.setattr(live_speakers, "MOST_KEPT_SAMPLES", 20 * SECOND)
    monkeypatch.setattr(live_speakers, "OPEN_SAMPLES", 2 * SECOND)
    monkeypatch.setattr(live_speakers, "MOST_WAITING", 1)
    begun = threading.Event()

    def load() -> VoiceDiariser:
        begun.wait(20)
        return LevelDiariser()

    talk = Talk(load, live=False)
    threading.Timer(0.2, begun.set).start()
    for number in range(20):
        talk.said(number, ((TOM, PRIYA)[number % 2], 4))
    facts = talk.close()
    assert sorted(number for number, voices, settled in facts if settled and voices) == list(range(20))
    assert sum(not settled and bool(voices) for _, voices, settled in facts) == 20


def test_after_a_jump_sound_is_heard_from_its_new_place() -> None:
    talk = Talk()
    talk.said(0, (TOM, 3), (PRIYA, 3))
    talk.speakers(Jumped("", 6 * SECOND, SECOND))
    talk.at = SECOND
    talk.said(1, (PRIYA, 3))
    assert [voices for number, voices, _ in talk.close() if number == 1] == [[(1, 4, 1)]] * 2


def test_a_fault_is_told_once_and_the_session_goes_on() -> None:
    def load() -> VoiceDiariser:
        raise ValueError("no networks")

    talk = Talk(load)
    talk.said(0, (TOM, 3))
    assert talk.close() == [] and talk.notices == ["Speakers are not labelled any more: ValueError: no networks."]


def test_a_session_with_speakers_ends_with_all_labels_in_its_log(tmp_path: Path) -> None:
    session, heard = make_session(tmp_path, ScriptedSource([0, SECOND, 2 * SECOND]), voices=LevelDiariser)
    session.start(heard.append)
    assert session.wait(20)
    facts = [item for item in heard if isinstance(item, SpeakersHeard)]
    recorded = RecordedSession(session.log_folder)
    assert facts and facts[-1].settled and recorded.ended is not None
    assert all(recorded.voices.is_settled(each.track, each.utterance) for each in recorded.whole_utterances())
