"""`livecap serve --files DIR`: a client names a recording below the folder, and learns nothing of other files."""

import asyncio
import io
import json
import os

import numpy as np
import pytest
import soundfile
from starlette.testclient import TestClient

from livecap.audio_in import converter
from livecap.audio_in.recording import Recording
from livecap.cli.main import run
from livecap.serve import worker as worker_module
from livecap.serve.app import make_app
from livecap.serve.diarized import KnownSpeaker, SpeakersOfUploads
from livecap.serve.openai_rest import MOST_JSON_BYTES, Transcriptions
from livecap.serve.requests import Refused
from livecap.transcribe.result import Transcription
from livecap.transcribe.units import Stopped
from tests.audio_in.waiting import eventually
from tests.serve.scripted import scripted_worker

M4A = b"\0\0\0\x1cftypM4A " + bytes(100)
PATHS = ["/v1/audio/transcriptions", "/transcribe"]


@pytest.fixture
def place(tmp_path):
    """A folder that is served, beside one that is not."""
    shared, secret = tmp_path / "shared", tmp_path / "shared-not"
    for folder in (shared / "deep", secret, tmp_path / "uploads"):
        folder.mkdir(parents=True)
    (shared / "talk.wav").write_bytes(b"sound")
    (shared / "deep" / "talk.wav").write_bytes(b"deep sound")
    (secret / "talk.wav").write_bytes(b"secret")
    (shared / "link.wav").symlink_to("deep/talk.wav")
    (shared / "out.wav").symlink_to(secret / "talk.wav")
    (shared / "out").symlink_to(secret)
    (shared / "circle.wav").symlink_to("circle.wav")
    os.mkfifo(shared / "pipe.wav")
    return tmp_path


@pytest.fixture
def client(place, monkeypatch):
    """A client whose recordings are transcribed as the bytes that they hold."""
    said, asked = [], []

    def transcribe_file(engine, path, options, hooks):
        asked.append(options.decoding)
        return Transcription(path.read_bytes().decode(), 1.0, engine.settings.language)

    monkeypatch.setattr(worker_module, "transcribe_file", transcribe_file)
    worker = scripted_worker(said)
    app = make_app(worker, place / "uploads", None, 1 << 25, said.append, [(place / "shared").resolve()])
    with TestClient(app, base_url="http://localhost") as client:
        client.asked = asked
        yield client
    worker.close()
    assert said == []


def ask(client, path, **fields):
    return client.post("/v1/audio/transcriptions", json={"path": str(path), **fields})


@pytest.mark.parametrize(
    ("name", "text"),
    [("talk.wav", "sound"), ("deep/../talk.wav", "sound"), ("deep/talk.wav", "deep sound"), ("link.wav", "deep sound")],
)
def test_a_recording_below_the_folder_is_transcribed_and_stays(client, place, name, text):
    for path in (name, place / "shared" / name):
        assert ask(client, path).json()["text"] == text
    assert (place / "shared" / name).exists() and list((place / "uploads").iterdir()) == []


@pytest.mark.parametrize(
    "name",
    [
        "../shared-not/talk.wav",
        "{place}/shared-not/talk.wav",
        "out.wav",
        "out/talk.wav",
        "circle.wav",
        "pipe.wav",
        "deep",
        ".",
        "no.wav",
        "/etc/passwd",
        "/dev/zero",
        "a\0b",
        "\udc80.wav",
        "x" * 5000,
        "a/" * 5000,
        "~/talk.wav",
    ],
)
@pytest.mark.parametrize("path", PATHS)
def test_every_other_path_gets_the_same_answer(client, place, path, name):
    content = json.dumps({"path": name.format(place=place)})
    answer = client.post(path, content=content, headers={"Content-Type": "application/json"})
    assert answer.status_code == 404
    assert answer.json()["error"] == {
        "message": "There is no such recording in the folders of this server.",
        "type": "invalid_request_error", "param": "path", "code": "file_not_found",
    }  # fmt: skip


def test_what_may_not_be_read_gets_that_answer_too(client, place, monkeypatch):
    monkeypatch.setattr(os, "access", lambda path, mode: False)  # root may read everything
    assert ask(client, "talk.wav").status_code == 404


def test_the_fields_of_the_object_are_those_of_the_form(client):
    fields = {"language": "de", "temperature": 0.5, "timestamp_granularities": ["word", "segment"]}
    answer = ask(client, "talk.wav", response_format="verbose_json", **fields, chunking_strategy={"type": "server_vad"})
    assert answer.json()["language"] == "german" and answer.json()["words"] == []
    assert client.asked[0].sampling.temperature == 0.5
    streamed = ask(client, "talk.wav", stream=True)
    assert '"transcript.text.done","text":"sound"' in streamed.text.replace(": ", ":").replace(", ", ",")


def test_a_job_reads_the_recording_and_leaves_it(client, place):
    refused = client.post("/transcribe", json={"path": "talk.wav", "stream": True})
    assert refused.status_code == 400 and (place / "shared" / "talk.wav").exists()
    answer = client.post("/transcribe", json={"path": "talk.wav"})
    assert answer.status_code == 202
    eventually(lambda: client.get(answer.headers["location"]).json()["status"] == "done")
    state = client.get(answer.headers["location"]).json()
    assert state["result"]["text"] == "sound" and (place / "shared" / "talk.wav").exists()


@pytest.mark.parametrize(
    ("content", "status"),
    [(b"", 400), (b"[]", 400), (b"{", 400), (b"{}", 400), (b'{"path": ""}', 400), (b'{"path": {"a": 1}}', 400)],
)
def test_an_object_without_a_path_is_refused(client, content, status):
    answer = client.post(PATHS[0], content=content, headers={"Content-Type": "application/json; charset=utf-8"})
    assert answer.status_code == status and set(answer.json()["error"]) == {"message", "type", "param", "code"}


@pytest.mark.parametrize("path", PATHS)
def test_half_a_surrogate_pair_is_refused_like_other_text(client, path):
    content = json.dumps({"path": "talk.wav", "language": "\ud800"})
    answer = client.post(path, content=content, headers={"Content-Type": "application/json"})
    assert answer.status_code == 400 and answer.json()["error"]["param"] == "language"


def test_subtitles_are_made_beside_the_loop_that_serves_live_clients(client, monkeypatch):
    def content(rest, said, wanted):
        with pytest.raises(RuntimeError):
            asyncio.get_running_loop()
        return "made"

    monkeypatch.setattr(Transcriptions, "content", content)
    assert ask(client, "talk.wav", response_format="srt").text == "made"
    job = client.post("/transcribe", json={"path": "talk.wav", "response_format": "srt"}).headers["location"]
    eventually(lambda: client.get(job).json()["status"] == "done")
    assert client.get(job).json()["result"] == "made"


def test_a_long_sample_of_a_speaker_is_refused_before_all_of_it_is_read(place, monkeypatch):
    read = []
    monkeypatch.setattr(Recording, "close", lambda recording: read.append(recording.read_samples))
    file = io.BytesIO()
    soundfile.write(file, np.zeros(16_000 * 120, np.int16), 16_000, format="FLAC")
    speakers = SpeakersOfUploads(lambda: None, place / "uploads")
    labels = speakers.label(Transcription("", 1.0), bool, place / "no", [KnownSpeaker("Ada", file.getvalue())])
    with pytest.raises(Refused, match="'Ada' is more than 10 s long; 2 to 10 s are needed"):
        labels.result(20)
    assert read[0] < 16_000 * 20


@pytest.mark.parametrize("is_sample", [True, False])
def test_a_client_that_leaves_while_its_speakers_are_converted_is_not_waited_for(
    place, tmp_path, monkeypatch, is_sample
):
    program, running, path = tmp_path / "ffmpeg", tmp_path / "running", tmp_path / "memo.m4a"
    program.write_text(f'#!/bin/sh\n: > "{running}"\nexec sleep 60\n')
    program.chmod(0o755)
    path.write_bytes(M4A)
    monkeypatch.setattr(converter.shutil, "which", lambda name: str(program) if name == "ffmpeg" else None)
    known = [KnownSpeaker("Ada", M4A)] if is_sample else []
    speakers = SpeakersOfUploads(lambda: None, place / "uploads")
    with pytest.raises(Stopped):
        speakers.label(Transcription("", 1.0), running.exists, path, known).result(20)


def test_a_large_object_is_refused_before_it_is_read(client):
    answer = ask(client, "talk.wav", prompt="x" * MOST_JSON_BYTES)
    assert answer.status_code == 413


def test_samples_of_speakers_are_kept_with_the_uploads(place, monkeypatch):
    folders = []

    def temporary(dir):
        folders.append(dir)
        raise OSError

    monkeypatch.setattr("livecap.serve.diarized.NamedTemporaryFile", temporary)
    speakers = SpeakersOfUploads(lambda: None, place / "uploads")
    named = [KnownSpeaker("Ada", b"sound")]
    with pytest.raises(OSError):
        speakers.label(Transcription("", 1.0), bool, place / "shared" / "talk.wav", named).result(20)
    assert folders == [place / "uploads"]


def test_without_the_option_no_path_is_read(place, tmp_path):
    app = make_app(None, tmp_path, None, 1 << 20, print)
    with TestClient(app, base_url="http://localhost") as client:
        answer = ask(client, place / "shared" / "talk.wav")
    assert answer.status_code == 400 and "send the recording in a form" in answer.json()["error"]["message"]


@pytest.mark.parametrize(
    ("name", "why"), [("no/such", "No such file or directory"), ("talk.wav", "it is not a folder")]
)
def test_what_is_no_folder_is_refused_at_the_start(place, capsys, name, why):
    path = place / "shared" / name
    # Also before the model, which may be a long download.
    assert run(["serve", "--model", "nothing", "--port", "0", "--files", str(path)]) == 1
    assert capsys.readouterr().err == f"livecap: Cannot serve files of {path}: {why}.\n"
