"""One thread serves all clients: one that leaves or a fault in its recording takes nothing from the others."""

import os
import threading
from concurrent.futures import CancelledError
from pathlib import Path

import numpy as np
import pytest

from livecap.audio_in import converter
from livecap.engine import EngineSettings
from livecap.errors import LivecapError
from livecap.serve import worker as worker_module
from livecap.serve.bridge.recordings import transcribe_sounds
from livecap.serve.served_stream import Asked, ServedStream
from livecap.serve.worker import MOST_WAITING, Busy, Worker
from livecap.transcribe import opened, recordings
from livecap.transcribe.recordings import Options, transcribe_file
from livecap.transcribe.result import Transcription
from livecap.transcript import UtteranceSettled
from tests.audio_in.waiting import eventually

DONE = Transcription("said", 1.0)


class Panic(BaseException):
    """What a Rust library raises."""


class FakeEngine:
    """An engine whose transcribers fail."""

    def __init__(self, settings):
        self.settings = settings
        self.changes = 0

    def change(self, settings, on_notice):
        self.settings = settings
        self.changes += 1

    def transcriber(self):
        raise Panic("in a library")

    def close(self):
        pass


@pytest.fixture
def gate():
    return threading.Event()


@pytest.fixture
def worker(monkeypatch, gate):
    """A worker whose recordings take until the gate is open; one named `panic` fails."""

    def transcribe_file(engine, path, options, hooks):
        if path == "panic":
            raise Panic("in /a/library")
        assert gate.wait(20)
        return DONE

    monkeypatch.setattr(worker_module, "transcribe_file", transcribe_file)
    said = []
    worker = Worker(EngineSettings("tiny"), said.append, FakeEngine)
    worker.said = said
    worker.start()
    yield worker
    gate.set()
    worker.close()


def test_clients_that_leave_make_room_for_others_at_once(worker):
    jobs = [worker.transcribe("a", Asked()) for _ in range(MOST_WAITING)]
    with pytest.raises(Busy):
        worker.transcribe("a", Asked())
    eventually(jobs[0].done.running)
    for job in jobs[1:]:
        job.stop()
    assert worker.n_waiting == 1
    assert not worker.transcribe("a", Asked()).done.done()


def test_at_the_end_who_waits_is_refused_and_who_left_is_forgotten(worker, gate):
    running, left, waiting = (worker.transcribe("a", Asked()) for _ in range(3))
    eventually(running.done.running)
    left.stop()
    threading.Timer(0.1, gate.set).start()
    worker.close()
    assert running.done.result(20) is DONE
    with pytest.raises(Busy, match="stopping"):
        waiting.done.result(20)
    with pytest.raises(CancelledError):
        left.done.result(20)
    assert worker.n_waiting == 0


def test_a_panic_in_one_recording_or_stream_is_reported_and_the_others_go_on(worker, gate):
    gate.set()
    failed = worker.transcribe("panic", Asked())
    with pytest.raises(LivecapError, match=r"^The recording could not be transcribed\.$"):
        failed.done.result(20)
    ended = threading.Event()
    stream = worker.stream(Asked(), lambda update: ended.set())
    stream.feed(np.zeros(16, np.float32))
    assert ended.wait(20) and str(stream.failure) == "The sound could not be transcribed."
    assert worker.transcribe("a", Asked()).done.result(20) is DONE
    assert worker.said == [
        "A recording could not be transcribed: Panic: in /a/library.",
        "A stream could not be transcribed: Panic: in a library.",
    ]


def test_a_client_is_told_the_end_of_a_stream_that_cannot_be_closed(worker, monkeypatch):
    class Stays(Hears):
        def close(self):
            raise Panic("in a library")

    monkeypatch.setattr(FakeEngine, "transcriber", lambda engine: Stays())
    ended = threading.Event()
    stream = worker.stream(Asked(), lambda update: ended.set())
    stream.feed(np.zeros(16, np.float32)).result(20)
    stream.finish()
    assert ended.wait(20)
    eventually(lambda: worker.said == ["A stream could not be closed: Panic: in a library."])


def test_each_recording_is_decoded_with_its_own_language(worker, gate, monkeypatch):
    gate.set()
    heard = []
    monkeypatch.setattr(
        worker_module, "transcribe_file", lambda engine, *rest: heard.append(engine.settings.language) or DONE
    )
    for language in ("English", "English", "German", None):
        worker.transcribe("a", Asked(language)).done.result(20)
    assert heard == ["English", "English", "German", None]


class Hears:
    """A transcriber that notes its blocks, and closes an utterance at each flush."""

    def __init__(self):
        self.blocks, self.n_unsettled, self.ready, self.closed = [], 0, False, False

    def accept(self, block):
        self.blocks.append((block.start_sample, len(block.samples)))

    def share(self, n_streams):
        pass

    def flush(self):
        self.n_unsettled += 1
        return iter([])

    def settle(self):
        self.n_unsettled -= 1
        return UtteranceSettled("", 0, "better", 0, 1, None)

    def close(self):
        self.closed = True


@pytest.fixture
def hearing(monkeypatch):
    """A worker, and the transcriber of its one stream."""
    transcriber = Hears()
    monkeypatch.setattr(FakeEngine, "transcriber", lambda engine: transcriber)
    worker = Worker(EngineSettings("tiny"), [].append, FakeEngine)
    worker.start()
    yield worker, transcriber
    worker.close()


def test_how_a_client_cuts_its_sound_does_not_change_what_is_heard(hearing):
    worker, transcriber = hearing
    stream = worker.stream(Asked(), lambda update: None)
    for n in (1, 799, 801, 40_000, 0, 1000):
        stream.feed(np.zeros(n, np.float32))
    stream.end_utterance().result(20)
    assert transcriber.blocks == [(at, 800) for at in range(0, 42_400, 800)] + [(42_400, 201)]


def test_an_utterance_is_settled_before_its_end_is_answered(hearing):
    worker, transcriber = hearing
    settled = []
    stream = worker.stream(Asked(settle=True), lambda update: None, settled.append)
    stream.feed(np.zeros(800, np.float32))
    assert stream.end_utterance(lambda: list(settled)).result(20) == settled and settled[0].text == "better"


def test_who_waits_for_dropped_sound_learns_of_it(hearing):
    worker, transcriber = hearing
    stream = worker.stream(Asked(), lambda update: None)
    stream.finish(drop=True)
    assert stream.feed(np.zeros(800, np.float32)).cancelled()
    eventually(lambda: transcriber.closed or not worker.n_streams)


def test_who_waits_for_sound_that_failed_learns_of_it(worker):
    stream = worker.stream(Asked(), lambda update: None)
    with pytest.raises(LivecapError, match="could not be transcribed"):
        stream.feed(np.zeros(800, np.float32)).result(20)
    with pytest.raises(LivecapError, match="could not be transcribed"):
        stream.end_utterance().result(20)
    eventually(lambda: not worker.n_streams)
    with pytest.raises(LivecapError, match="could not be transcribed"):
        stream.feed(np.zeros(800, np.float32)).result(20)


def test_a_stream_that_failed_is_not_full_of_the_sound_that_waited(worker):
    ended = threading.Event()
    stream = worker.stream(Asked(), lambda update: ended.set())
    stream.feed(np.zeros(30 * 16_000, np.float32))
    assert ended.wait(20) and not stream.is_full and stream.waiting_seconds == 0


def test_however_many_clients_flood_a_live_one_waits_for_one_of_them(monkeypatch):
    worker, served = Worker(EngineSettings("tiny"), [].append, FakeEngine), []

    def serve(stream, engine, n_speaking):
        served.append(stream.name)
        return served.count(stream.name) < 2

    monkeypatch.setattr(ServedStream, "serve", serve)
    monkeypatch.setattr(ServedStream, "has_work", True)
    for name, seconds in (("flood 1", 300), ("flood 2", 300), ("live 1", 0.25), ("flood 3", 300), ("live 2", 0.5)):
        stream = worker.stream(Asked(), lambda update: None)
        stream.name = name
        stream.feed(np.zeros(round(seconds * 16_000), np.float32))
    worker._serve_streams(FakeEngine(None))
    live = ["live 1", "live 2"]
    assert served == [*live, "flood 1", *live, "flood 2", "flood 3", "flood 1", "flood 2", "flood 3"]
    worker.close()


def test_a_client_that_has_left_costs_no_transcriber(monkeypatch):
    monkeypatch.setattr(FakeEngine, "transcriber", lambda engine: pytest.fail("it was made"))
    worker = Worker(EngineSettings("tiny"), [].append, FakeEngine)
    stream = worker.stream(Asked(), lambda update: None)
    stream.feed(np.zeros(16_000, np.float32))
    stream.finish(drop=True)
    assert stream.serve(FakeEngine(None)) is False
    worker.close()


def test_a_model_that_cannot_be_loaded_leaves_no_thread():
    def load(settings):
        raise LivecapError("There is no such model.")

    before = set(threading.enumerate())
    with pytest.raises(LivecapError, match="no such model"):
        Worker(EngineSettings("tiny"), [].append, load).start()
    assert set(threading.enumerate()) <= before


class Silence:
    """A recording of endless silence."""

    duration_seconds, notices, read_samples = None, (), 1

    def __init__(self, path, meanwhile=None):
        pass

    def blocks(self, n_samples):
        while True:
            yield np.zeros(n_samples, np.float32)

    def close(self):
        pass


WAYS = {
    "file": lambda engine, hooks, path: transcribe_file(engine, path, Options(), hooks),
    "bridge": lambda engine, hooks, path: transcribe_sounds(engine, hooks, [path], Options()),
}


@pytest.fixture
def working(hearing, monkeypatch):
    """Begins work on a recording in one of the ways."""
    monkeypatch.setattr(FakeEngine, "most_waiting", 0, raising=False)
    monkeypatch.setattr(FakeEngine, "n_batches", lambda engine, batch: 4, raising=False)
    worker, _ = hearing
    return lambda way, path: worker.submit(lambda engine, hooks: WAYS[way](engine, hooks, path), Asked())


def check_that_streams_are_served_and_it_stops(worker, job, ends):
    eventually(job.done.running)
    worker.stream(Asked(), lambda update: None).feed(np.zeros(16_000, np.float32)).result(20)
    assert not job.done.done()
    worker.close() if ends else job.stop()
    with pytest.raises(CancelledError):
        job.done.result(20)


@pytest.mark.parametrize("ends", [False, True])
@pytest.mark.parametrize("way", WAYS)
def test_a_recording_in_which_nobody_speaks_lets_streams_be_served_and_stops(hearing, working, monkeypatch, way, ends):
    for module in (recordings, opened):
        monkeypatch.setattr(module, "Recording", Silence)
    check_that_streams_are_served_and_it_stops(hearing[0], working(way, Path("a")), ends)


@pytest.mark.parametrize("ends", [False, True])
@pytest.mark.parametrize("way", WAYS)
def test_a_recording_that_is_converted_lets_streams_be_served_and_stops(
    hearing, working, monkeypatch, tmp_path, way, ends
):
    program, path, running = tmp_path / "ffmpeg", tmp_path / "memo.m4a", tmp_path / "running"
    program.write_text(f'#!/bin/sh\necho $$ > "{running}"\nexec sleep 60\n')
    program.chmod(0o755)
    path.write_bytes(b"\0\0\0\x1cftypM4A " + bytes(100))
    monkeypatch.setattr(converter.shutil, "which", lambda name: str(program) if name == "ffmpeg" else None)
    job = working(way, path)
    eventually(lambda: running.exists() and running.read_text().endswith("\n"))
    check_that_streams_are_served_and_it_stops(hearing[0], job, ends)
    with pytest.raises(ProcessLookupError):
        os.kill(int(running.read_text()), 0)
