"""A session publishes each fact once, in order, in the log first, and always ends properly."""

import errno
import threading
from pathlib import Path

import pytest

from livecap.archive.disk import Disk
from livecap.errors import AudioError
from livecap.session.status import State
from livecap.transcript import (
    AudioGap,
    Notice,
    Paused,
    Resumed,
    SessionEnded,
    SessionEvent,
    SessionStarted,
    TextCommitted,
    TranscriptUpdate,
    UtteranceEnded,
)
from tests.audio_in.waiting import eventually
from tests.events import event_of
from tests.session.scripted import SECOND, ScriptedSource, ScriptedTranscriber, make_session


def logged(folder: Path) -> list[SessionEvent | TranscriptUpdate]:
    return [event_of(line) for line in (folder / "session.jsonl").read_text().splitlines()]


def test_committed_text_adds_up_to_the_utterance(tmp_path: Path) -> None:
    session, told = make_session(tmp_path, ScriptedSource([i * SECOND for i in range(6)]))
    session.start(told.append)
    assert session.wait(20)
    committed = "".join(e.text for e in told if isinstance(e, TextCommitted))
    [ended] = [e for e in told if isinstance(e, UtteranceEnded)]
    assert committed == ended.text == "w0 w1 w2 w3 w4 w5"
    assert isinstance(told[0], SessionStarted) and isinstance(told[-1], SessionEnded)
    assert told[-1].reason == "end of source"
    assert session.status.state is State.ENDED


def test_the_log_has_each_fact_before_any_listener(tmp_path: Path) -> None:
    session, _ = make_session(tmp_path, ScriptedSource([i * SECOND for i in range(6)]))

    def check(item: SessionEvent | TranscriptUpdate) -> None:
        if not isinstance(item, TranscriptUpdate):
            assert logged(session.log_folder)[-1] == item

    session.start(check)
    assert session.wait(20)
    assert session.status.error is None


def test_the_log_has_every_fact_and_no_update(tmp_path: Path) -> None:
    session, told = make_session(tmp_path, ScriptedSource([i * SECOND for i in range(4)]))
    session.start(told.append)
    assert session.wait(20)
    assert logged(session.log_folder) == [item for item in told if not isinstance(item, TranscriptUpdate)]
    transcript = (session.log_folder / "transcript.md").read_text()
    assert "[0:00:00] w0 w1 w2 w3\n" in transcript


def test_lost_sound_is_a_gap(tmp_path: Path) -> None:
    session, told = make_session(tmp_path, ScriptedSource([0, SECOND, 5 * SECOND]))
    session.start(told.append)
    assert session.wait(20)
    assert [e for e in told if isinstance(e, AudioGap)] == [AudioGap("", 2 * SECOND, 5 * SECOND)]
    assert session.status.n_gaps == 1 and session.status.gap_samples == 3 * SECOND


def test_stop_decodes_what_was_heard(tmp_path: Path) -> None:
    gate = threading.Semaphore(3)
    session, told = make_session(tmp_path, ScriptedSource([i * SECOND for i in range(100)], gate))
    session.start(told.append)
    eventually(lambda: session.status.tracks[0].decoded_samples == 3 * SECOND)
    session.stop()
    assert session.wait(20)
    assert [e.text for e in told if isinstance(e, UtteranceEnded)] == ["w0 w1 w2"]
    assert isinstance(told[-1], SessionEnded) and told[-1].reason == "stopped"


def test_a_pause_and_its_end_are_facts(tmp_path: Path) -> None:
    gate = threading.Semaphore(0)
    source = ScriptedSource([0, SECOND], gate)
    session, told = make_session(tmp_path, source)
    session.pause()
    assert not source.paused, "nothing to pause yet"
    session.start(told.append)
    eventually(lambda: told)
    session.pause()
    session.pause()
    assert source.paused
    session.resume()
    session.resume()
    assert not source.paused
    gate.release(2)
    assert session.wait(20)
    session.pause()
    session.notice("too late")
    assert [type(e) for e in told if isinstance(e, Paused | Resumed | Notice)] == [Paused, Resumed]


def test_a_session_that_is_paused_while_the_model_is_loaded_is_shown_as_paused(tmp_path: Path) -> None:
    is_loaded = threading.Event()

    def make(track: str) -> ScriptedTranscriber:
        is_loaded.wait(60)
        return ScriptedTranscriber(track=track)

    session, told = make_session(tmp_path, ScriptedSource([0], threading.Semaphore(0)), make)
    session.start(told.append)
    try:
        eventually(lambda: told)
        assert session.status.state is State.LOADING
        session.pause()
        assert session.status.state is State.PAUSED
        session.resume()
        assert session.status.state is State.LOADING
        session.pause()
        is_loaded.set()
        eventually(lambda: session.load_seconds > 0)
        assert session.status.state is State.PAUSED
    finally:
        is_loaded.set()
        session.stop()
        assert session.wait(20)
    assert [type(e) for e in told if isinstance(e, Paused | Resumed)] == [Paused, Resumed, Paused]


def test_who_resumes_while_devices_are_being_paused_leaves_none_paused(tmp_path: Path) -> None:
    """The screen resumes while `livecap ctl pause` waits for a device that closes slowly."""

    class Slow(ScriptedSource):
        closes, is_closed = threading.Event(), threading.Event()

        def pause(self) -> None:
            super().pause()
            self.closes.set()
            assert self.is_closed.wait(20)

    slow, other = Slow([0], threading.Semaphore(0)), ScriptedSource([0], threading.Semaphore(0))
    session, told = make_session(tmp_path, {"me": slow, "them": other})
    session.start(told.append)
    eventually(lambda: told)
    pauses, resumes = threading.Thread(target=session.pause), threading.Thread(target=session.resume)
    pauses.start()
    assert Slow.closes.wait(20)
    resumes.start()
    resumes.join(0.1)  # it must not be done before the pause is
    Slow.is_closed.set()
    pauses.join(20)
    resumes.join(20)
    assert not slow.paused and not other.paused
    kinds = [(type(e), e.track) for e in told if isinstance(e, Paused | Resumed)]
    assert kinds == [(Paused, "me"), (Paused, "them"), (Resumed, "me"), (Resumed, "them")]
    session.stop()
    assert session.wait(20)


class PanicException(BaseException):
    """As pyo3 raises it when a library in Rust panics."""


FAULTS = [
    AudioError("The device left."), RuntimeError("Unable to load kernel\non this GPU"), MemoryError(),
    PanicException("Precompiled"), SystemExit(0), KeyboardInterrupt(), GeneratorExit(),
]  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS, ids=type)
def test_an_error_keeps_the_text_and_is_reported_in_one_line(tmp_path: Path, fault: BaseException) -> None:
    session, told = make_session(
        tmp_path, ScriptedSource([i * SECOND for i in range(6)]), lambda track: ScriptedTranscriber(fault)
    )
    session.start(told.append)
    assert session.wait(20)
    assert session.status.state is State.FAILED
    assert session.status.error and "\n" not in session.status.error
    assert (session.log_folder / "fault.txt").exists() != isinstance(fault, AudioError)
    notices = [e for e in told if isinstance(e, Notice)]
    assert notices[-1].severity == "error"
    assert isinstance(told[-1], SessionEnded) and told[-1].reason.startswith("failed: ")
    assert logged(session.log_folder)[-1] == told[-1]


def test_what_was_said_before_a_source_failed_is_kept(tmp_path: Path) -> None:
    session, told = make_session(tmp_path, ScriptedSource([0, SECOND], error=AudioError("It left.")))
    session.start(told.append)
    assert session.wait(20)
    assert session.status.state is State.FAILED and session.status.error == "It left."
    ended = [event for event in told if isinstance(event, UtteranceEnded)]
    assert " ".join(event.text for event in ended) == "w0 w1"


def test_an_error_after_the_sound_fails_the_session(tmp_path: Path) -> None:
    class Unclosable(ScriptedTranscriber):
        def close(self) -> None:
            raise PanicException("Precompiled")

    session, told = make_session(tmp_path, ScriptedSource([0]), lambda track: Unclosable())
    session.start(told.append)
    assert session.wait(20)
    assert session.status.state is State.FAILED and "PanicException" in (session.status.error or "")
    assert isinstance(told[-1], SessionEnded) and told[-1].reason.startswith("failed: ")


def test_a_model_that_cannot_be_loaded_ends_the_session(tmp_path: Path) -> None:
    def make(track: str) -> ScriptedTranscriber:
        raise AudioError("no model")

    session, told = make_session(tmp_path, ScriptedSource([0]), make)
    session.start(told.append)
    assert session.wait(20)
    assert session.status.error == "no model"
    assert isinstance(told[-1], SessionEnded)


def test_a_full_disk_is_reported_and_the_session_goes_on(tmp_path: Path) -> None:
    class FullDisk(Disk):
        full = False

        def write(self, descriptor: int, data: bytes) -> int:
            if self.full:
                raise OSError(errno.ENOSPC, "No space left on device")
            return super().write(descriptor, data)

    disk, gate = FullDisk(), threading.Semaphore(1)
    session, told = make_session(tmp_path, ScriptedSource([i * SECOND for i in range(4)], gate), disk=disk)
    session.start(told.append)
    eventually(lambda: session.status.tracks[0].decoded_samples == SECOND)
    disk.full = True
    gate.release()
    eventually(lambda: any(isinstance(e, Notice) and "No space left" in e.message for e in told))
    assert session.status.log_trouble
    disk.full = False
    gate.release(5)
    assert session.wait(20)
    assert session.status.state is State.ENDED
    assert logged(session.log_folder) == [item for item in told if not isinstance(item, TranscriptUpdate)]
