"""Recovery after a crash: the kept sound is decoded, text that was shown stays, and the session gets an end."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile

from livecap.archive.archive import Archive
from livecap.archive.folder import EVENTS, FAILED, TRANSCRIPT, has_end
from livecap.archive.log import SessionLog
from livecap.archive.reader import LogReader
from livecap.archive.recorded import RecordedSession
from livecap.archive.search import Query
from livecap.audio_in.replay import UNPACED_BLOCK_SAMPLES
from livecap.engine import EngineSettings
from livecap.errors import AudioError, LogError, ModelError
from livecap.session.recovery import CUT_OFF, RECOVERED, is_empty, keep, recover, seconds_to_decode
from livecap.transcript import (
    Marked,
    Notice,
    SessionEnded,
    SessionEvent,
    TextCommitted,
    TranscriptUpdate,
    UtteranceEnded,
    UtteranceSettled,
)
from tests.archive.facts import SECOND, WALL, header, said, write
from tests.archive.when import STARTED
from tests.session.scripted import SCRIPTED, ScriptedTranscriber, engine_of

RECORDING = Path(__file__).parents[2] / "recordings" / "dictation.flac"
LIVE_TEXT = "Dear me, think you"


def cut_off(parent: Path, seconds: int, saved: bool = False) -> Path:
    """A session that heard some seconds of a recording and was killed after the first words were committed."""
    facts: list[SessionEvent] = [
        TextCommitted("", 0, "Dear me,", 3200, 2 * SECOND),
        TextCommitted("", 0, " think you", 3200, 3 * SECOND),
    ]
    folder = write(parent, facts, end=False)
    samples, rate = soundfile.read(RECORDING, dtype="int16", frames=seconds * SECOND)
    assert rate == SECOND
    (folder / "audio").mkdir(mode=0o700)
    soundfile.write(folder / "audio" / "sound.wav", samples, rate)
    if not saved:
        (folder / "audio" / "unsaved").touch()
    data = (folder / EVENTS).read_bytes()
    (folder / EVENTS).write_bytes(data + b'{"type": "text_com')
    return folder


def facts_of(folder: Path) -> list[SessionEvent]:
    return [event for _, event in LogReader(folder / EVENTS).events()]


@pytest.fixture(scope="module")
def recovered(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[SessionEvent], float]:
    """A session that was recovered with the embedded model: its folder, its facts before, and the missing seconds."""
    folder = cut_off(tmp_path_factory.mktemp("sessions"), 12)
    before, lacked = facts_of(folder), seconds_to_decode(RecordedSession(folder))
    recover(folder, EngineSettings("tiny"))
    return folder, before, lacked


def test_the_length_of_sound_without_a_transcript_is_known(recovered: tuple[Path, list[SessionEvent], float]) -> None:
    assert recovered[2] == pytest.approx(12 - 0.2, abs=0.01)


def test_no_fact_of_the_log_changes(recovered: tuple[Path, list[SessionEvent], float]) -> None:
    folder, before, _ = recovered
    after = facts_of(folder)
    assert after[: len(before)] == before
    assert len(LogReader(folder / EVENTS).damages) == 0 and len(RecordedSession(folder).damages) == 1


def test_all_sound_is_transcribed_and_the_session_has_an_end(
    recovered: tuple[Path, list[SessionEvent], float],
) -> None:
    folder, _, _ = recovered
    session = RecordedSession(folder)
    assert session.ended and session.ended.reason == RECOVERED and session.n_samples == 12 * SECOND
    utterances = list(session.utterances())
    assert len(utterances) >= 2 and utterances[-1].end_sample > 10 * SECOND
    assert sum(len(utterance.text.split()) for utterance in utterances) > 12
    assert all(f"] {utterance.text}\n" in (folder / TRANSCRIPT).read_text() for utterance in utterances)


def test_the_open_utterance_keeps_its_words_and_gets_its_settled_text(
    recovered: tuple[Path, list[SessionEvent], float],
) -> None:
    facts = facts_of(recovered[0])
    [ended] = [fact for fact in facts if isinstance(fact, UtteranceEnded) and fact.utterance == 0]
    assert ended.text == LIVE_TEXT
    settled = [fact for fact in facts if isinstance(fact, UtteranceSettled) and fact.utterance == 0]
    assert settled and len(settled[-1].text) > len(LIVE_TEXT) and settled[-1].end_sample > 3 * SECOND
    numbers = [fact.utterance for fact in facts if isinstance(fact, UtteranceEnded)]
    assert numbers == list(range(len(numbers)))


def test_sound_that_was_not_to_be_kept_is_deleted(recovered: tuple[Path, list[SessionEvent], float]) -> None:
    assert not (recovered[0] / "audio").exists()


def test_a_session_may_be_kept_as_it_is(tmp_path: Path) -> None:
    folder = cut_off(tmp_path, 5, saved=True)
    keep(folder)
    session = RecordedSession(folder)
    assert [utterance.text for utterance in session.utterances()] == [LIVE_TEXT]
    assert session.ended and session.ended.reason == CUT_OFF
    assert (folder / "audio" / "sound.wav").exists(), "the user wanted to keep it"
    assert LIVE_TEXT in (folder / TRANSCRIPT).read_text()


def test_sound_of_a_session_that_is_kept_as_it_is_goes_where_it_was_not_to_be_kept(tmp_path: Path) -> None:
    folder = cut_off(tmp_path, 5)
    keep(folder)
    assert not (folder / "audio").exists()


def test_a_session_without_sound_keeps_its_committed_text(tmp_path: Path) -> None:
    folder = write(tmp_path, list(said(["Good morning.", "And good"]))[:-1], end=False)
    recover(folder, EngineSettings(tmp_path / "no model is needed"))
    session = RecordedSession(folder)
    assert [utterance.text for utterance in session.utterances()] == ["Good morning.", "And good"]
    assert session.ended and seconds_to_decode(session) == 0


def test_a_session_can_be_recovered_later_if_the_model_cannot_be_loaded(tmp_path: Path) -> None:
    folder = cut_off(tmp_path, 5)
    with pytest.raises(ModelError, match="No model at"):
        recover(folder, EngineSettings(tmp_path / "missing"))
    session = RecordedSession(folder)
    assert session.was_cut_off and session.sounds and seconds_to_decode(session) > 4


class HearsBlocks(ScriptedTranscriber):
    """Each `n_together` blocks of sound are an utterance, until the server is away after `n_heard` blocks."""

    def __init__(self, n_heard: int, n_together: int = 1) -> None:
        super().__init__()
        self._n_heard, self._n_together = n_heard, n_together

    def step(self, chunk_samples: int | None = None) -> Iterator[TranscriptUpdate]:
        if self._n > self._n_heard:
            raise ModelError("The server is away.")
        if self._n % self._n_together == 0:
            start, end = self.decoded_samples - self._n_together * UNPACED_BLOCK_SAMPLES, self.decoded_samples
            number = self._n // self._n_together - 1
            yield TranscriptUpdate("", number, f"w{number}", "", start, end, "English", True)


@pytest.mark.parametrize("n_heard", [0, 1, 2])
def test_a_recovery_that_fails_on_its_way_leaves_the_rest_to_the_next_one(tmp_path: Path, n_heard: int) -> None:
    """The words after the committed ones are in no text yet, although their sound was heard when it was cut off."""
    folder = cut_off(tmp_path, 12)
    lacked = seconds_to_decode(RecordedSession(folder))
    with pytest.raises(ModelError, match="away"):
        recover(folder, SCRIPTED, load_engine=engine_of(lambda track: HearsBlocks(n_heard)))
    session = RecordedSession(folder)
    done = n_heard * UNPACED_BLOCK_SAMPLES / SECOND
    assert session.was_cut_off and seconds_to_decode(session) == pytest.approx(lacked - done)
    texts = [utterance.text for utterance in session.utterances()]
    assert texts == ([f"w{number}" for number in range(n_heard)] or [LIVE_TEXT])


def test_what_a_recovery_that_fails_has_settled_is_not_heard_again(tmp_path: Path) -> None:
    """The committed text of the open utterance ends at 3 s, and its settled text at 4.2 s."""
    folder = cut_off(tmp_path, 12)
    for n_done in (1, 2):
        with pytest.raises(ModelError, match="away"):
            recover(folder, SCRIPTED, load_engine=engine_of(lambda track: HearsBlocks(3, 2)))
        session = RecordedSession(folder)
        ends = [utterance.end_sample / SECOND for utterance in session.utterances()]
        assert ends == [0.2 + 4 * number for number in range(1, n_done + 1)]
        assert seconds_to_decode(session) == pytest.approx(12 - ends[-1])


def test_running_and_ended_sessions_are_not_recovered(tmp_path: Path) -> None:
    ended = write(tmp_path, said(["Good morning."]))
    log = SessionLog(tmp_path, STARTED)
    log.append(header(log.session), 0.0)
    assert log.flush(60)
    for folder, message in ((ended, "nothing to recover"), (log.folder, "being recorded")):
        before = (folder / EVENTS).read_bytes()
        with pytest.raises(LogError, match=message):
            keep(folder)
        assert (folder / EVENTS).read_bytes() == before
    log.close()


@pytest.mark.parametrize("saved", [False, True])
def test_the_rest_of_a_session_that_failed_is_transcribed(tmp_path: Path, saved: bool) -> None:
    folder = write(tmp_path, [], end=False)
    log = SessionLog.reopen(folder, RecordedSession(folder).n_facts, RecordedSession(folder).clock)
    log.append(SessionEnded(4 * SECOND, f"{FAILED}the server is away"), 4.0)
    log.close()
    assert has_end(folder / EVENTS), "no sound waits"
    (folder / "audio").mkdir()
    samples, rate = soundfile.read(RECORDING, dtype="int16", frames=4 * SECOND)
    soundfile.write(folder / "audio" / "sound.wav", samples, rate)
    if not saved:
        (folder / "audio" / "unsaved").touch()
    archive = Archive(tmp_path)
    assert not has_end(folder / EVENTS) and archive.cut_off() == [folder.name]
    assert [summary.n_utterances for summary in archive.sessions()] == [0], "the index takes it for ended"
    assert recover(folder, EngineSettings("tiny")).n_utterances == 1
    assert has_end(folder / EVENTS) and (folder / "audio").exists() == saved
    ends = [event.reason for event in facts_of(folder) if isinstance(event, SessionEnded)]
    assert ends == [f"{FAILED}the server is away", RECOVERED]
    [found] = RecordedSession(folder).utterances()
    assert [summary.n_utterances for summary in archive.sessions()] == [1] and archive.search(Query(found.text))


@pytest.mark.parametrize("n_heard", [3, 7, 12])
def test_samples_of_a_recovered_track_never_run_backwards(tmp_path: Path, n_heard: int) -> None:
    """What is heard again begins at the end of the last utterance, not in its margin."""
    folder = cut_off(tmp_path, 20)
    log = SessionLog.reopen(folder, 3, RecordedSession(folder).clock)
    log.append(UtteranceEnded("", 0, LIVE_TEXT, 3200, n_heard * SECOND, "English"), 1.0)
    log.append(TextCommitted("", 1, "and", n_heard * SECOND - 2240, (n_heard + 1) * SECOND), 1.0)
    log.close()
    recover(folder, EngineSettings("tiny"))
    heard = [event for event in facts_of(folder) if isinstance(event, UtteranceSettled)]
    heard += [event for event in facts_of(folder) if isinstance(event, UtteranceEnded) and event.utterance > 1]
    assert len(heard) > 2
    for event in heard:
        assert event.start_sample >= n_heard * SECOND
        assert all(word.start_sample >= event.start_sample for word in event.words)
    spans = {event.utterance: (event.start_sample, event.end_sample) for event in heard}
    ordered = [spans[number] for number in sorted(spans)]
    assert all(later[0] >= earlier[1] for earlier, later in zip(ordered, ordered[1:], strict=False))


def test_a_session_in_which_nothing_was_heard_is_empty(tmp_path: Path) -> None:
    assert is_empty(write(tmp_path / "1", [Notice("Muted.", 5)], end=False))
    assert not is_empty(write(tmp_path / "2", [Marked("", 5, "", WALL)], end=False))
    assert not is_empty(write(tmp_path / "3", [TextCommitted("", 0, "a", 0, 5)], end=False))
    assert not is_empty(cut_off(tmp_path / "4", 5))
    folder = write(tmp_path / "5", [], end=False)
    (folder / "audio").mkdir()
    soundfile.write(folder / "audio" / "sound.wav", np.zeros(5 * SECOND, "int16"), SECOND)
    assert not is_empty(folder), "sound that could be transcribed"


@pytest.mark.parametrize("error", [AudioError("Input/output error"), AudioError("Too many open files")])
def test_sound_that_cannot_be_read_now_is_not_deleted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: AudioError
) -> None:
    def fail(*arguments: object, **options: object) -> None:
        raise error

    folder = cut_off(tmp_path, 12)
    monkeypatch.setattr("livecap.session.recovery.Replay", fail)
    with pytest.raises(AudioError, match=str(error)):
        recover(folder, EngineSettings("tiny"))
    assert (folder / "audio" / "sound.wav").is_file() and not RecordedSession(folder).ended
