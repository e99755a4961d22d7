"""A job is answered before its recording has its turn, says how far it is, and is forgotten after a while."""

import io
import threading
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile
from starlette.testclient import TestClient

from livecap.serve import app as app_module
from livecap.serve import jobs as jobs_module
from livecap.serve import worker as worker_module
from livecap.serve.app import make_app
from livecap.serve.jobs import KEEP_SECONDS, Jobs
from livecap.serve.worker import MOST_WAITING
from livecap.transcribe.recordings import Progress
from livecap.transcribe.result import Segment, Transcription
from livecap.transcribe.units import Stopped
from livecap.transcript import Word
from tests.audio_in.waiting import eventually
from tests.serve.scripted import scripted_worker

WORDS = (Word("Good", 0, 8000, "step"), Word("morning.", 8000, 16000, "step"))
SAID = Transcription("Good morning.", 2.0, "English", (Segment("Good morning.", 0, 16000, "English", WORDS, "stop"),))
FORMATS = [
    {"response_format": "json"},
    {"response_format": "text"},
    {"response_format": "srt"},
    {"response_format": "vtt"},
    {"response_format": "verbose_json", "timestamp_granularities[]": "word"},
]


@pytest.fixture
def server(monkeypatch, tmp_path):
    """A server whose recordings are half done until `gate` is open; the one that holds b"panic" fails."""
    gate, now, said = threading.Event(), [0.0], []

    def transcribe_file(engine, path, options, hooks):
        if path.read_bytes() == b"panic":
            raise ValueError("in /a/library")
        hooks.on_progress(Progress(1.0, 2.0, "Good"))
        while not gate.wait(0.01):
            if hooks.is_stopped():
                raise Stopped("Stopped.")
        return SAID

    monkeypatch.setattr(worker_module, "transcribe_file", transcribe_file)
    worker = scripted_worker(said)
    monkeypatch.setattr(app_module, "Jobs", lambda rest: Jobs(rest, lambda: now[0]))
    app = make_app(worker, tmp_path, None, 1 << 20, said.append)
    with TestClient(app, base_url="http://localhost") as client:
        yield SimpleNamespace(client=client, worker=worker, gate=gate, now=now, said=said, folder=tmp_path)
    gate.set()
    worker.close()


def post(client, sound=b"sound", path="/transcribe", **form):
    return client.post(path, data=form, files={"file": sound})


def ended(client, answer):
    """The last state of a job."""
    place = answer.headers["location"]
    eventually(lambda: client.get(place).json()["status"] in ("done", "failed"))
    return client.get(place).json()


def test_a_job_says_how_far_it_is_and_then_its_text(server):
    answer = post(server.client)
    assert answer.status_code == 202 and answer.headers["location"] == f"/jobs/{answer.json()['id']}"
    second = post(server.client)
    eventually(lambda: "done_seconds" in server.client.get(answer.headers["location"]).json())
    state = server.client.get(answer.headers["location"]).json()
    assert (state["status"], state["done_seconds"], state["duration_seconds"]) == ("running", 1.0, 2.0)
    assert server.client.get(second.headers["location"]).json()["status"] == "waiting"
    server.gate.set()
    for job in (answer, second):
        state = ended(server.client, job)
        assert state["status"] == "done" and state["result"]["text"] == "Good morning."
    assert list(server.folder.iterdir()) == []


@pytest.mark.parametrize("form", FORMATS, ids=lambda form: form["response_format"])
def test_the_result_is_what_the_client_would_get_without_a_job(server, form):
    server.gate.set()
    at_once = post(server.client, path="/v1/audio/transcriptions", **form)
    result = ended(server.client, post(server.client, **form))["result"]
    assert result == (at_once.text if isinstance(result, str) else at_once.json())


def test_a_removed_job_stops_and_its_upload_is_deleted(server):
    running, waiting = post(server.client), post(server.client)
    eventually(lambda: server.client.get(running.headers["location"]).json()["status"] == "running")
    for job in (waiting, running):
        assert server.client.delete(job.headers["location"]).status_code == 204
        assert server.client.get(job.headers["location"]).status_code == 404
        assert server.client.delete(job.headers["location"]).json()["error"]["code"] == "job_not_found"
    eventually(lambda: server.worker.n_waiting == 0 and not list(server.folder.iterdir()))
    assert server.said == []


def test_a_removed_job_stops_while_its_speakers_are_told_apart(server, monkeypatch):
    reading, ended = threading.Event(), threading.Event()

    class Diariser:
        def turns(self, samples, **counts):
            try:
                while not ended.is_set():
                    assert len(samples[:160]) == 160
                    reading.set()
            finally:
                ended.set()

    monkeypatch.setattr("livecap.transcribe.speakers.SpeakerLabels.diariser", Diariser())
    sound = io.BytesIO()
    soundfile.write(sound, np.zeros(16_000, np.int16), 16_000, format="WAV")
    server.gate.set()
    try:
        job = post(server.client, sound.getvalue(), response_format="diarized_json")
        assert reading.wait(30)
        assert server.client.delete(job.headers["location"]).status_code == 204
        assert ended.wait(30)
    finally:
        ended.set()
    eventually(lambda: server.worker.n_waiting == 0)
    assert server.said == []


def test_a_job_that_fails_says_so_without_a_path(server):
    state = ended(server.client, post(server.client, b"panic"))
    assert state["status"] == "failed" and "/" not in state["error"]["message"]
    assert len(server.said) == 1


def test_a_finished_job_is_forgotten_after_an_hour_and_a_running_one_is_not(server):
    job = post(server.client)
    server.now[0] = 2 * KEEP_SECONDS
    assert server.client.get(job.headers["location"]).status_code == 200
    server.gate.set()
    ended(server.client, job)
    server.now[0] = 3 * KEEP_SECONDS - 1
    assert server.client.get(job.headers["location"]).json()["status"] == "done"
    server.now[0] = 3 * KEEP_SECONDS
    assert server.client.get(job.headers["location"]).status_code == 404


def test_the_job_that_finished_first_is_forgotten_first(server, monkeypatch):
    monkeypatch.setattr(jobs_module, "MOST_FINISHED", 2)
    server.gate.set()
    finished = []
    for moment in range(4):
        server.now[0] = float(moment)
        finished.append(post(server.client))
        if moment < 3:
            ended(server.client, finished[-1])
    ended(server.client, finished[3])
    found = [server.client.get(job.headers["location"]).status_code for job in finished]
    assert found == [404, 404, 200, 200]


def test_a_job_that_cannot_begin_is_refused_and_leaves_nothing(server):
    assert post(server.client, stream="true").status_code == 400
    assert post(server.client, b"").status_code == 400
    assert post(server.client, response_format="docx").status_code == 400
    assert list(server.folder.iterdir()) == []
    for _ in range(MOST_WAITING):
        assert post(server.client).status_code == 202
    assert post(server.client).status_code == 429
    assert len(list(server.folder.iterdir())) == MOST_WAITING
