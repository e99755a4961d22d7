"""The official OpenAI client, unmodified, transcribes with `livecap serve`."""

import asyncio
import base64
import contextlib
import errno
import gc
import io
import json
import os
import re
import signal
import subprocess
import sys
import threading
import urllib.request
from concurrent.futures import CancelledError, Future
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import Mock

import httpx
import openai
import pytest
import soundfile
from starlette.testclient import TestClient

from livecap.cli.main import run
from livecap.errors import SettingsError
from livecap.serve.access import listening_socket
from livecap.serve.app import make_app
from livecap.serve.openai_rest import _finished
from livecap.serve.requests import Refused
from livecap.serve.run import KEY_VARIABLE, key_for
from livecap.serve.worker import Busy

ROOT = Path(__file__).parents[2]
RECORDING = ROOT / "recordings" / "dictation.flac"
TURNS = ROOT / "recordings" / "turns.flac"
DIARIZED = {"response_format": "diarized_json", "known_speaker_names": ["Ada"]}
OR_KEY = f", or {KEY_VARIABLE} in the environment."


class Server:
    """A `livecap serve` of its own process."""

    def __init__(self, folder, *arguments):
        environ = os.environ | {"TMPDIR": str(folder)}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "livecap", "serve", "--model", "tiny", "--port", "0", *arguments],
            stderr=subprocess.PIPE,
            text=True,
            env=environ,
            cwd=ROOT,
        )
        self.said = self.process.stderr.readline()
        found = re.search(r"http://[^ ]+/v1", self.said)
        assert found, self.said + self.process.stderr.read()
        self.url = found[0]

    def client(self, key="none"):
        return openai.OpenAI(base_url=self.url, api_key=key, max_retries=0, timeout=120)

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        with self.process.stderr as stream:
            rest = stream.read()
        return self.process.wait(60), rest


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    server = Server(tmp_path_factory.mktemp("serve"))
    yield server
    status, rest = server.stop()
    assert (status, rest) == (0, "")


@pytest.fixture(scope="module")
def client(server):
    with server.client() as client:
        yield client


@cache
def clip(recording=RECORDING, seconds=15):
    """The beginning of a recording, as a FLAC file."""
    samples, rate = soundfile.read(recording, dtype="int16", frames=seconds * 16_000)
    file = io.BytesIO()
    soundfile.write(file, samples, rate, format="FLAC")
    return file.getvalue()


def create(client, sound=None, **options):
    return client.audio.transcriptions.create(model="tiny", file=("clip.flac", sound or clip()), **options)


@pytest.fixture(scope="module")
def text(client):
    return create(client).text


def test_the_text_is_that_of_livecap_transcribe(text, tmp_path, capsys):
    (tmp_path / "clip.flac").write_bytes(clip())
    assert run(["transcribe", str(tmp_path / "clip.flac"), "--model", "tiny", "--stdout", "--quiet"]) == 0
    assert text.split() == capsys.readouterr().out.split() and len(text.split()) > 20


def test_text_and_subtitles(client, text):
    assert create(client, response_format="text").strip() == text
    subtitles = create(client, response_format="srt")
    assert re.match(r"1\n00:00:0\d,\d{3} --> 00:00:\d\d,\d{3}\n", subtitles)
    assert create(client, response_format="vtt").startswith("WEBVTT\n\n00:00:0")


def test_verbose_json_has_segments_and_words_in_order(client, text):
    said = create(client, response_format="verbose_json", timestamp_granularities=["word", "segment"])
    assert said.text == text and said.language == "english" and said.duration == pytest.approx(15, abs=0.1)
    assert [word.word for word in said.words] == text.split()
    times = [time for word in said.words for time in (word.start, word.end)]
    assert times == sorted(times) and times[-1] <= said.duration
    assert [segment.id for segment in said.segments] == list(range(len(said.segments)))
    assert all(segment.avg_logprob <= 0 and segment.start < segment.end for segment in said.segments)
    assert create(client, response_format="verbose_json").words is None


def sample(start, end):
    """A part of the recording of two voices, in seconds, as a data URL."""
    sound, rate = soundfile.read(TURNS, dtype="int16")
    file = io.BytesIO()
    soundfile.write(file, sound[round(start * rate) : round(end * rate)], rate, format="WAV")
    return f"data:audio/wav;base64,{base64.b64encode(file.getvalue()).decode()}"


def test_diarized_json_says_who_speaks_and_knows_a_voice_by_its_sample(client):
    truth = json.loads(TURNS.with_suffix(".words.json").read_text())
    reference = sample(truth[0]["start"], next(word["start"] for word in truth if word["speaker"] != "A"))
    known = {"known_speaker_names": ["Ada"], "known_speaker_references": [reference]}
    said = create(client, clip(TURNS, 24), response_format="diarized_json", chunking_strategy="auto", **known)
    assert {segment.speaker for segment in said.segments} == {"Ada", "A"}
    assert " ".join(segment.text for segment in said.segments) == said.text and said.duration == pytest.approx(
        24, abs=0.1
    )
    for segment in said.segments:
        middle = (segment.start + segment.end) / 2
        nearest = min(truth, key=lambda word: abs((word["start"] + word["end"]) / 2 - middle))
        assert (segment.speaker == "Ada") == (nearest["speaker"] == "A")


def test_a_diarized_stream_ends_with_its_segments(client):
    events = list(create(client, clip(TURNS, 16), response_format="diarized_json", stream=True))
    kinds = [event.type for event in events]
    assert list(dict.fromkeys(kinds)) == ["transcript.text.delta", "transcript.text.segment", "transcript.text.done"]
    assert {event.speaker for event in events if event.type == "transcript.text.segment"} == {"A", "B"}


def test_one_voice_alone_is_speaker_a(client):
    said = create(client, response_format="diarized_json")
    assert {segment.speaker for segment in said.segments} == {"A"}


def test_a_stream_gives_deltas_that_add_up_to_the_text(client, text):
    events = list(create(client, stream=True))
    assert {event.type for event in events[:-1]} == {"transcript.text.delta"}
    assert "".join(event.delta for event in events[:-1]) == text == events[-1].text


@pytest.mark.parametrize("path", ["/v1/audio/transcriptions", "/transcribe"])
@pytest.mark.parametrize(
    ("form", "language", "context", "temperature"),
    [
        ({}, None, "", 0.0),
        ({"language": "en-GB", "prompt": "Priya", "temperature": "0.5"}, "English", "Priya", 0.5),
        (
            {"languages[]": ["de"], "keywords[]": ["Priya", "Lagos"], "prompt": "Notes."},
            "German",
            "Notes., Priya, Lagos",
            0,
        ),
        ({"languages[]": ["de", "en"]}, None, "", 0.0),
    ],
)
def test_language_prompt_keywords_and_temperature_reach_the_model(tmp_path, path, form, language, context, temperature):
    found = []

    def busy(path, asked, *more):
        found.append(asked)
        raise Busy("64 recordings are waiting.")

    app = make_app(SimpleNamespace(transcribe=busy), tmp_path, None, 1 << 20, print)
    with TestClient(app, base_url="http://localhost") as client:
        assert client.post(path, data=form, files={"file": b"sound"}).status_code == 429
    [asked] = found
    assert (asked.language, asked.context, asked.decoding.sampling.temperature) == (language, context, temperature)


def test_logprobs_are_those_of_the_text_which_stays_as_it_is(client, text):
    said = create(client, include=["logprobs"])
    tokens = said.logprobs
    assert said.text == text and all(-40 < token.logprob <= 0 for token in tokens)
    assert bytes(int(byte) for token in tokens for byte in token.bytes).decode().split() == text.split()
    assert "".join(token.token for token in tokens).split() == text.split()
    events = list(create(client, include=["logprobs"], stream=True))
    assert [token.logprob for event in events[:-1] for token in event.logprobs] == [token.logprob for token in tokens]
    assert len(events[-1].logprobs) == len(tokens)


def test_an_unknown_language_is_refused(client):
    with pytest.raises(openai.BadRequestError, match="No language named"):
        create(client, language="klingon")


def test_the_model_is_listed(client):
    assert [model.id for model in client.models.list()] == ["tiny"]
    assert client.models.retrieve("tiny").object == "model"
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("whisper-1")


def test_a_deleted_model_is_loaded_again_for_the_next_client(client, text):
    assert client.models.delete("tiny").deleted
    assert create(client).text == text


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"response_format": "json", "known_speaker_names": ["Ada"]}, "need response_format diarized_json"),
        ({"response_format": "diarized_json", "known_speaker_names": ["Ada"]}, "needs one of known_speaker_references"),
        (DIARIZED | {"known_speaker_references": ["http://sound"]}, "is a data URL in base64"),
        (DIARIZED | {"known_speaker_references": ["data:audio/wav;base64,!!"]}, "is not valid base64"),
        (DIARIZED | {"known_speaker_references": ["data:audio/wav;base64,é"]}, "is not valid base64"),
        (DIARIZED | {"known_speaker_references": ["data:audio/wav;base64,AAAA"]}, "'Ada' holds no sound"),
        ({"include": ["logprobs"], "response_format": "verbose_json"}, "logprobs need response_format json"),
        ({"timestamp_granularities": ["word"]}, "verbose_json"),
        ({"temperature": 9.0}, "temperature must be"),
        ({"response_format": "docx"}, "response_format must be"),
        ({"extra_body": {"stream": "yes"}}, "stream must be true or false"),
        ({"extra_body": {"include": ["foo"]}}, "include may only name logprobs"),
        ({"extra_body": {"languages": ["en", "xx"]}}, "No language named"),
        ({"keywords": [f"word{i}" for i in range(3000)]}, "Too many fields"),
    ],
)
def test_what_cannot_be_done_is_a_clear_400(client, options, sentence):
    with pytest.raises(openai.BadRequestError, match=sentence) as refused:
        create(client, **options)
    assert refused.value.body["type"] == "invalid_request_error"


def test_many_expected_words_are_taken(client, text):
    assert create(client, keywords=[f"word{i}" for i in range(400)])


@pytest.mark.parametrize("stream", [True, False])
def test_a_file_without_sound_is_refused_with_its_status_also_where_text_is_streamed(client, stream):
    with pytest.raises(openai.BadRequestError, match="no sound"):
        client.audio.transcriptions.create(model="tiny", file=("a.wav", b"junk" * 1000), stream=stream)


def test_one_may_be_said_for_true(server):
    answer = httpx.post(f"{server.url}/audio/transcriptions", data={"stream": "1"}, files={"file": clip()}, timeout=60)
    assert answer.headers["content-type"].startswith("text/event-stream")


def test_translations_are_refused(client):
    refusal = pytest.raises(openai.BadRequestError, match="does not translate")
    with pytest.warns(DeprecationWarning), refusal:
        client.audio.translations.create(model="tiny", file=("clip.flac", clip()))


@pytest.mark.parametrize("data", [b"", b"x", b"RIFF\xff\xff\xff\xffWAVE", b"\x00" * 100_000, b"<html></html>" * 100])
def test_what_is_no_sound_is_refused_without_a_path(server, client, data):
    with pytest.raises(openai.BadRequestError) as refused:
        client.audio.transcriptions.create(model="tiny", file=("../../etc/passwd", data))
    assert "/" not in refused.value.body["message"]


@pytest.mark.parametrize(
    ("method", "path", "options", "status"),
    [
        ("GET", "/nothing", {}, 404),
        ("GET", "/audio/transcriptions", {}, 405),
        ("GET", "/listen", {}, 426),
        ("POST", "/realtime", {"content": b"x"}, 426),
        ("POST", "/audio/transcriptions", {"content": b"x"}, 400),
        ("POST", "/audio/transcriptions", {"data": {"model": "tiny"}}, 400),
        ("POST", "/audio/transcriptions", {"files": {"file": b"x"}, "headers": {"Host": "evil.example"}}, 403),
        ("GET", "/models", {"headers": {"Origin": "http://evil.example"}}, 403),
    ],
)
def test_a_bad_request_is_answered_in_the_clients_shape(server, method, path, options, status):
    answer = httpx.request(method, server.url + path, timeout=60, **options)
    assert answer.status_code == status
    assert answer.headers.get("allow") == ("POST" if status == 405 else None)
    assert answer.headers.get("upgrade") == ("websocket" if status == 426 else None)
    if status != 403:
        assert set(answer.json()["error"]) == {"message", "type", "param", "code"}


def test_recordings_at_the_same_time_each_get_their_own_text(client, text):
    found = [None] * 4

    def ask(number):
        found[number] = create(client).text

    threads = [threading.Thread(target=ask, args=[number]) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [text] * 4


def test_health_and_metrics(server, text):
    base = server.url.removesuffix("/v1")
    with urllib.request.urlopen(f"{base}/health", timeout=60) as answer:
        assert b"ok" in answer.read()
    metrics = httpx.get(f"{base}/metrics").text
    assert "livecap_streams 0\n" in metrics and "livecap_model_loaded 1\n" in metrics
    assert float(re.search(r'^livecap_sound_seconds_total{kind="recording"} (\S+)', metrics, re.MULTILINE)[1]) > 10


def test_a_stream_that_the_server_cannot_begin_is_refused_with_its_status(tmp_path):
    def busy(*asked):
        raise Busy("64 recordings are waiting.")

    worker = SimpleNamespace(transcribe=busy)
    app = make_app(worker, tmp_path, None, 1 << 20, print)
    with TestClient(app, base_url="http://localhost") as client:
        for stream in ("true", "false"):
            answer = client.post("/v1/audio/transcriptions", data={"stream": stream}, files={"file": b"sound"})
            assert answer.status_code == 429 and answer.json()["error"]["type"] == "rate_limit_error"
    assert not list(tmp_path.iterdir())


def test_uploads_are_gone(server, text, tmp_path_factory):
    folder = next(Path(tmp_path_factory.getbasetemp()).glob("serve*/livecap-uploads-*"))
    assert list(folder.iterdir()) == []


def test_a_key_is_needed_where_one_is_set(tmp_path):
    key = tmp_path / "key"
    key.write_text("a-key-of-enough-letters\n")
    server = Server(tmp_path, "--api-key-file", str(key), "--max-upload", "1")
    try:
        with server.client("wrong") as wrong, pytest.raises(openai.AuthenticationError, match="A key is needed"):
            wrong.models.list()
        with server.client("a-key-of-enough-letters") as client:
            assert [model.id for model in client.models.list()] == ["tiny"]
            with pytest.raises(openai.APIStatusError) as refused:
                client.audio.transcriptions.create(model="tiny", file=("x.wav", b"\0" * (2 << 20)))
            assert refused.value.status_code == 413
    finally:
        assert server.stop() == (0, "")
    assert not list(tmp_path.glob("livecap-uploads-*"))


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--host", "0.0.0.0"], "Others can reach 0.0.0.0, so a key is needed: --api-key-file FILE" + OR_KEY),
        (
            ["--host", "0.0.0.0", "--model", "no/such"],
            "Others can reach 0.0.0.0, so a key is needed: --api-key-file FILE" + OR_KEY,
        ),
        (["--host", "example.com"], "--host must be localhost or an address such as 0.0.0.0, not 'example.com'."),
        (["--api-key-file", "/no/such"], "Cannot read the key in /no/such: No such file or directory."),
        (["--api-key-file", "/dev/null"], "The key in /dev/null must have at least 16 letters and digits."),
    ],
)
def test_what_is_unsafe_is_refused_before_anything_is_served(capsys, monkeypatch, arguments, sentence):
    monkeypatch.delenv(KEY_VARIABLE, raising=False)
    assert run(["serve", "--model", "tiny", "--port", "0", *arguments]) == 1
    assert capsys.readouterr().err == f"livecap: {sentence}\n"


def test_the_key_is_that_of_the_file_else_that_of_the_environment(tmp_path, monkeypatch):
    file = tmp_path / "key"
    file.write_text("key-of-the-file-0123\n")
    monkeypatch.setenv(KEY_VARIABLE, "key-of-the-environment ")
    assert key_for("0.0.0.0", None) == "key-of-the-environment"
    assert key_for("127.0.0.1", file) == "key-of-the-file-0123"
    for bad in ("", "short", "ключ-достаточной-длины"):
        monkeypatch.setenv(KEY_VARIABLE, bad)
        with pytest.raises(SettingsError, match="The key in LIVECAP_API_KEY must have at least 16 letters"):
            key_for("127.0.0.1", None)


def test_an_address_that_does_not_exist_is_named_with_its_reason(monkeypatch):
    reason = r"^Cannot serve at fe80::1%nosuch:0: (?!Unknown error)[A-Za-z ,]+\.$"
    with pytest.raises(SettingsError, match=reason):
        listening_socket("fe80::1%nosuch", 0)
    unsupported = OSError(errno.EAFNOSUPPORT, "Address family not supported by protocol")
    monkeypatch.setattr("livecap.serve.access.socket.socket", Mock(side_effect=unsupported))
    with pytest.raises(SettingsError, match=r"^Cannot serve at ::1:0: Address family not supported by protocol\.$"):
        listening_socket("::1", 0)


def test_a_port_of_wyoming_that_is_in_use_is_one_line(capsys):
    with contextlib.closing(listening_socket("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert run(["serve", "--model", "tiny", "--port", "0", "--wyoming", str(port)]) == 1
    said = f"livecap: Cannot serve at 127.0.0.1:{port}: Address already in use. Choose another port.\n"
    assert capsys.readouterr().err == said


SERVE = (["serve", "--model", "tiny", "--port", "0"], "livecap serve needs more packages")
CAPTIONS = (["--replay", str(RECORDING), "--model", "tiny", "--plain", "--serve", "0"], "--serve needs more packages")
WITHOUT = [
    *((module, *SERVE) for module in ("starlette", "uvicorn", "websockets", "python_multipart")),
    *((module, *CAPTIONS) for module in ("starlette", "uvicorn", "websockets")),
]
RUN_WITHOUT = """
import json, os, sys
from livecap.cli import main, recognition, run, serve

for module, arguments in json.loads(sys.argv[1]):
    child = os.fork()
    if not child:
        sys.modules[module] = None
        status = main.run(arguments)
        sys.stderr.flush()
        os._exit(status)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), file=sys.stderr, flush=True)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="a process that has used Metal cannot be forked")
def test_without_a_package_one_line_says_what_to_install(tmp_path):
    """Each package is missing in a process of its own, forked from one that has loaded the commands."""
    cases = [(module, arguments) for module, arguments, _ in WITHOUT]
    environ = os.environ | {"LIVECAP_LOG_DIR": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", RUN_WITHOUT, json.dumps(cases)],
        capture_output=True, text=True, timeout=120, cwd=ROOT, env=environ,
    )  # fmt: skip
    install = 'in a clone, run uv tool install ".[serve,mcp]" (or pip install)'
    assert done.stderr == "".join(f"livecap: {sentence}: {install}.\n1\n" for _, _, sentence in WITHOUT)
    assert done.stdout == ""


async def test_a_job_that_fails_after_its_client_left_prints_nothing():
    told, job = [], SimpleNamespace(done=Future(), stop=lambda: None)
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: told.append(context))

    async def has_left():
        return True

    with pytest.raises(Refused, match="The client left"):
        await _finished(SimpleNamespace(is_disconnected=has_left), job)
    job.done.set_exception(CancelledError())
    await asyncio.sleep(0.01)
    gc.collect()
    await asyncio.sleep(0)
    assert told == []
