"""Seeking in a recording: the sound there is transcribed, and every sample is accounted for."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import soundfile

from livecap.archive.log import SessionLog
from livecap.archive.reader import LogReader
from livecap.archive.recorded import RecordedSession
from livecap.audio_in.replay import Replay
from livecap.audio_in.source import AudioBlock
from livecap.errors import AudioError
from livecap.session.live import LiveSession
from livecap.session.tracks import TrackSource
from livecap.stream.config import StreamConfig
from livecap.stream.transcriber import StreamingTranscriber
from livecap.transcript import (
    CaptureReport,
    Jumped,
    Notice,
    Resumed,
    SessionEnded,
    SessionEvent,
    TextCommitted,
    TranscriptUpdate,
    UtteranceEnded,
)
from tests.archive.when import STARTED
from tests.audio_in.waiting import blocks, eventually
from tests.session.scripted import SCRIPTED, SECOND, ScriptedSource, ScriptedTranscriber, engine_of
from tests.stream.scripted import ScriptedDetector, ScriptedRecogniser, ScriptedTokenizer, Word, speech

N_SECONDS = 120
Told = list[SessionEvent | TranscriptUpdate]


class Hears(ScriptedTranscriber):
    """Recognises the n-th second of the recording as the word `n`."""

    def __init__(self, track: str = "", before_work: Callable[[], None] = lambda: None) -> None:
        super().__init__(track=track)
        self._before_work = before_work
        self._words: list[str] = []
        self._index = 0
        self._begin = 0

    def go_on_from(self, other: "Hears", sample: int | None = None) -> None:
        self._index = other._index
        self.decoded_samples = other.decoded_samples if sample is None else sample

    def accept(self, block: AudioBlock) -> None:
        if not self._words:
            self._begin = block.start_sample
        self._words += [str(round(value * 1000)) for value in block.samples[-block.start_sample % SECOND :: SECOND]]
        self.decoded_samples = block.end_sample

    def step(self, chunk_samples: int | None = None) -> Iterator[TranscriptUpdate]:
        self._before_work()
        yield self._said(False)

    def flush(self, chunk_samples: int | None = None) -> Iterator[TranscriptUpdate]:
        self._before_work()
        if self.decoded_samples > self._begin and self._words:
            yield self._said(True)
            self._words, self._index, self._begin = [], self._index + 1, self.decoded_samples

    def _said(self, final: bool) -> TranscriptUpdate:
        text, partial = " ".join(self._words), "" if final else " "
        return TranscriptUpdate(self.track, self._index, text, partial, self._begin, self.decoded_samples, "en", final)


def recording(folder: Path, n_seconds: int = N_SECONDS, name: str = "talk.wav") -> Path:
    """A recording whose n-th second has the level n / 1000."""
    samples = np.repeat(np.arange(n_seconds) / 1000, SECOND).astype(np.float32)
    soundfile.write(folder / name, samples, SECOND, subtype="FLOAT")
    return folder / name


class Started(Replay):
    """A recording that knows whether its clock runs: from the first `take` on."""

    has_started = False

    def take(self) -> AudioBlock | None:
        block = super().take()
        self.has_started = True
        return block


class Listening:
    """A session that hears recordings. Time passes only in `passes` and `held`."""

    def __init__(self, folder: Path, *paths: Path, pace: float | None = 1.0, **options: float) -> None:
        self.now = 0.0
        self._free, self._is_held = threading.Event(), False
        self._free.set()
        self.sources = [Started(path, pace, now=lambda: self.now, **options) for path in paths]
        labels = ["me", "them"] if len(paths) == 2 else [""]
        self.told: Told = []
        tracks = [TrackSource(label, source) for label, source in zip(labels, self.sources, strict=True)]
        make = engine_of(lambda track: Hears(track, self._hold))
        self.session = LiveSession(tracks, SCRIPTED, SessionLog(folder, STARTED), load_engine=make)
        self.session.start(self.told.append)
        eventually(lambda: self.told)
        self.passes(0)

    def _hold(self) -> None:
        """On the decode thread."""
        if not self._free.is_set():
            self._is_held = True
            assert self._free.wait(20)

    @contextmanager
    def held(self, begin: Callable[[], None] | None = None) -> Iterator[None]:
        """Keep the decode thread in a transcriber meanwhile.

        Args:
            begin: makes the transcriber work; None for a second of sound.
        """
        self._is_held = False
        self._free.clear()
        if begin is None:
            self.now += 1
        else:
            begin()
        eventually(lambda: self._is_held)
        yield
        self._free.set()

    def passes(self, seconds: float) -> None:
        """Let time pass, and wait until all sound is decoded."""
        eventually(lambda: all(source.has_started for source in self.sources))
        self.now += seconds
        eventually(
            lambda: all(
                source.ended or track.lag_seconds == 0
                for source, track in zip(self.sources, self.session.status.tracks, strict=True)
            )
        )

    def seek(self, seconds: float) -> None:
        n = len(self.all(Jumped))
        self.session.requests.seek(seconds)
        eventually(lambda: len(self.all(Jumped)) == n + len(self.sources))

    def all(self, kind: type) -> list:  # type: ignore[type-arg]
        return [item for item in self.told if isinstance(item, kind)]

    def end(self) -> Told:
        self.session.stop()
        assert self.session.wait(20) and self.session.status.error is None
        return self.told


def words(told: Told) -> list[str]:
    return [event.text for event in told if isinstance(event, UtteranceEnded)]


def span(first: int, last: int) -> str:
    """The text of the seconds [first, last)."""
    return " ".join(map(str, range(first, last)))


def balanced(told: Told) -> bool:
    reports = [event for event in told if isinstance(event, CaptureReport)]
    assert not [event for event in told if isinstance(event, Notice) and event.severity == "error"]
    return all(each.captured_samples == each.decoded_samples + each.silence_samples for each in reports)


def test_seeking_decodes_the_sound_there_and_moves_the_clock(tmp_path: Path) -> None:
    heard = Listening(tmp_path, recording(tmp_path))
    heard.passes(10)
    heard.seek(30)
    assert heard.session.status.arrived_samples == 40 * SECOND
    heard.passes(5)
    heard.seek(-20)
    assert heard.session.status.arrived_samples == 25 * SECOND and heard.session.status.lag_seconds == 0
    heard.passes(3)
    told = heard.end()
    assert words(told) == [span(0, 10), span(40, 45), span(25, 28)]
    assert [event.utterance for event in told if isinstance(event, UtteranceEnded)] == [0, 1, 2]
    assert heard.all(Jumped) == [Jumped("", 10 * SECOND, 40 * SECOND), Jumped("", 45 * SECOND, 25 * SECOND)]
    assert balanced(told)
    [report], [ended] = heard.all(CaptureReport), heard.all(SessionEnded)
    assert report.captured_samples == ended.n_samples == 18 * SECOND and report.n_gaps == 0


def test_text_from_before_a_jump_stays_and_is_logged_before_it(tmp_path: Path) -> None:
    heard = Listening(tmp_path, recording(tmp_path))
    heard.passes(3)
    heard.seek(5)
    told = heard.end()
    [_, *logged] = [event for _, event in LogReader(heard.session.log_folder / "session.jsonl").events()]
    kinds = [type(event) for event in logged]
    assert kinds[kinds.index(Jumped) - 1] is UtteranceEnded
    assert "".join(e.text for e in told if isinstance(e, TextCommitted)) == span(0, 3)


def test_seeks_in_quick_succession_add_up_to_one_jump(tmp_path: Path) -> None:
    heard = Listening(tmp_path, recording(tmp_path))
    heard.passes(2)
    with heard.held():
        for _ in range(4):
            heard.session.requests.seek(5)
        heard.session.requests.seek(-10)
    eventually(lambda: heard.all(Jumped))
    heard.end()
    assert heard.session.status.arrived_samples == 13 * SECOND and len(heard.all(Jumped)) == 1


def test_a_seek_during_another_one_counts_from_its_target(tmp_path: Path) -> None:
    heard = Listening(tmp_path, recording(tmp_path))
    heard.passes(2)
    with heard.held(lambda: heard.session.requests.seek(20)):
        heard.session.requests.seek(20)
    eventually(lambda: heard.all(Jumped))
    heard.end()
    assert heard.session.status.arrived_samples == 42 * SECOND


def test_seeking_stops_at_both_ends_and_only_reaching_the_end_ends_the_session(tmp_path: Path) -> None:
    heard = Listening(tmp_path, recording(tmp_path), start_seconds=20.0, end_seconds=60.0)
    heard.passes(4)
    heard.seek(-30)
    assert heard.session.status.arrived_samples == 20 * SECOND
    heard.session.requests.seek(-5)  # it is at the beginning
    heard.seek(600)
    assert heard.session.status.arrived_samples == 59 * SECOND
    heard.session.requests.seek(5)
    heard.passes(0.5)
    heard.now += 1
    assert heard.session.wait(20)
    assert words(heard.told) == [span(20, 24), "59"] and len(heard.all(Jumped)) == 2 and balanced(heard.told)
    assert heard.all(SessionEnded)[0].reason == "end of source"


def test_a_recording_resumes_at_the_place_sought_during_the_pause(tmp_path: Path) -> None:
    heard = Listening(tmp_path, recording(tmp_path))
    heard.passes(5)
    heard.session.pause()
    eventually(lambda: words(heard.told))
    heard.seek(30)
    heard.seek(-5)
    assert heard.session.status.arrived_samples == 30 * SECOND
    heard.now += 100
    heard.session.resume()
    heard.passes(2)
    assert words(heard.end()) == [span(0, 5), span(30, 32)] and balanced(heard.told)
    assert heard.all(Resumed)[0].sample == 30 * SECOND


def test_all_tracks_jump_and_one_that_had_ended_goes_on(tmp_path: Path) -> None:
    heard = Listening(tmp_path, recording(tmp_path), recording(tmp_path, 10, "short.wav"))
    heard.passes(15)
    eventually(lambda: words(heard.told))
    heard.seek(-8)
    heard.passes(2)
    told = heard.end()
    assert [(e.track, e.text) for e in told if isinstance(e, UtteranceEnded)] == [
        ("them", span(0, 10)), ("me", span(0, 15)), ("me", span(7, 9)), ("them", span(7, 9)),
    ]  # fmt: skip
    assert balanced(told)


def test_an_utterance_ends_at_the_moment_of_the_request_even_if_decoded_later(tmp_path: Path) -> None:
    heard = Listening(tmp_path, recording(tmp_path))
    heard.passes(2)
    with heard.held():
        heard.now += 4
        heard.session.requests.end_utterance()
        heard.now += 4
    heard.passes(0)
    assert words(heard.end()) == [span(0, 7), span(7, 11)] and balanced(heard.told)


def test_an_utterance_ends_at_a_pause_even_if_decoded_later(tmp_path: Path) -> None:
    heard = Listening(tmp_path, recording(tmp_path))
    heard.passes(2)
    with heard.held():
        heard.now += 4
        heard.session.pause()
        heard.now += 60
        heard.session.resume()
        heard.now += 4
    heard.passes(0)
    assert words(heard.end()) == [span(0, 7), span(7, 11)] and balanced(heard.told)


def test_notices_from_before_the_start_are_published_by_the_session(tmp_path: Path) -> None:
    source = TrackSource("", Replay(recording(tmp_path, 1), None))
    log = SessionLog(tmp_path, STARTED)
    session = LiveSession([source], SCRIPTED, log, load_engine=engine_of(Hears))
    told: Told = []
    session.notice("The microphone is gone.")
    session.start(told.append)
    assert session.wait(20)
    assert [event.message for event in told if isinstance(event, Notice)] == ["The microphone is gone."]


def test_a_live_session_cannot_seek(tmp_path: Path) -> None:
    log = SessionLog(tmp_path, STARTED)
    session = LiveSession([TrackSource("", ScriptedSource([]))], SCRIPTED, log)
    with pytest.raises(AudioError, match="only a recording"):
        session.requests.seek(-5)
    log.close()


def test_the_transcript_has_repeated_sound_once(tmp_path: Path) -> None:
    heard = Listening(tmp_path, recording(tmp_path))
    heard.passes(10)
    heard.seek(50)
    heard.passes(4)
    heard.seek(-64)
    heard.passes(11)  # the first ten seconds again
    heard.seek(51)
    heard.passes(1)  # only a part of what was heard there before
    heard.end()
    session = RecordedSession(heard.session.log_folder)
    assert [utterance.text for utterance in session.utterances()] == [span(0, 11), span(60, 64), "62"]


@pytest.mark.parametrize("rate", [SECOND, 44_100])
def test_a_recording_has_the_same_samples_wherever_reading_begins(tmp_path: Path, rate: int) -> None:
    rng = np.random.default_rng(1)
    path = tmp_path / "noise.wav"
    soundfile.write(path, rng.uniform(-0.5, 0.5, (rate * 9, 2)), rate, subtype="PCM_16")
    whole = np.concatenate([block.samples for block in blocks(Replay(path, None))])
    source = Replay(path, None)
    for place in [70_000, 12_345, 0, len(whole) - 7, 100_000, 99_999]:
        source.take()
        assert source.seek(place) == place
        block = source.take()
        assert block is not None and block.start_sample == place
        # Equal except for the rounding of the resampler, whose blocks begin elsewhere.
        assert np.abs(block.samples - whole[place : block.end_sample]).max() < (1e-6 if rate == SECOND else 1e-4)
    source.close()


def test_gaps_are_repeated_wherever_reading_begins(tmp_path: Path) -> None:
    path = recording(tmp_path, 10)
    gaps = [(2 * SECOND, 3 * SECOND), (5 * SECOND, 6 * SECOND)]
    source = Replay(path, None, gaps=gaps, cuts=[SECOND, 4 * SECOND, 7 * SECOND])
    for place, expected in [(5 * SECOND + 9, (6, 7)), (2 * SECOND, (3, 4)), (0, (0, 1))]:
        source.seek(place)
        block = source.take()
        assert block is not None and (block.start_sample, block.end_sample) == tuple(at * SECOND for at in expected)
    source.close()


def test_the_next_transcriber_continues_the_numbers_and_begins_at_the_target() -> None:
    spoken = speech([0.5, 0.2, 1.5, 0.2])  # two utterances
    config = StreamConfig()

    def made(words: list[Word]) -> StreamingTranscriber:
        return StreamingTranscriber(
            ScriptedRecogniser(words),
            ScriptedTokenizer(),  # type: ignore[arg-type]
            config,
            make_detector=lambda: ScriptedDetector(words),  # type: ignore[arg-type,return-value]
        )

    one = made(spoken)
    one.accept(AudioBlock(0, np.zeros(5 * SECOND, np.float32)))
    assert {update.utterance for update in one.flush()} == {0, 1}
    place = 60 * SECOND
    later = [Word(word.token, word.start + place, word.end + place) for word in spoken]
    two = made(later)
    two.go_on_from(one, place)
    assert two.decoded_samples == place
    two.accept(AudioBlock(place, np.zeros(5 * SECOND, np.float32)))
    updates = list(two.flush())
    assert {update.utterance for update in updates} == {2, 3}
    assert all(update.start_sample >= place for update in updates)
