"""Thousands of senseless requests and messages against the real server: none is answered by a fault, a traceback or a
path of this computer, and none leaves anything behind. The suite sends some hundred, `LIVECAP_PROVE=1` 10,000."""

import base64
import contextlib
import io
import json
import math
import os
import random
import re
import socket
import threading

import pytest
import soundfile
from websockets.exceptions import WebSocketException
from websockets.sync.client import connect

from livecap.audio_in.recording import Recording
from livecap.engine import EngineSettings
from livecap.serve import run as run_module
from livecap.serve import worker as worker_module
from livecap.serve.live import LiveSocket
from livecap.transcribe.recordings import Progress
from livecap.transcribe.result import Segment, Transcription
from livecap.transcript import SAMPLE_RATE
from tests.audio_in.waiting import eventually
from tests.serve.scripted import loud, pcm, scripted_worker

N_SENT = 10_000 if os.environ.get("LIVECAP_PROVE") else 300
SEED = int(os.environ.get("LIVECAP_FUZZ_SEED", "1"))
SECONDS = 60.0
"""No answer takes so long, on any machine."""

WORDS = """0 -1 1e999 nan 0.5 true null ../../etc/passwd /etc/passwd talk.wav shared %s%n{0} [] {"a": English de
klingon tiny json srt verbose_json diarized_json word segment logprobs linear16 mulaw opus 16000 8
data:audio/wav;base64,AAAA"""
TEXTS = ["", " ", "é😀", "\u202e\u0000", "a" * 3000, "9" * 5000, *WORDS.split()]
FIELD_NAMES = """model path file language languages languages[] prompt keywords[] response_format temperature stream
timestamp_granularities[] include[] known_speaker_names[] known_speaker_references[] chunking_strategy"""
FIELDS = FIELD_NAMES.split()
KNOWN_PATHS = """/v1/audio/transcriptions /v1/audio/translations /transcribe /jobs/x /v1/models /v1/models/tiny
/v1/listen /v1/events /v1/realtime /health /metrics / /captions /v1/../health /%00 /%ff%fe"""
PATHS = [*KNOWN_PATHS.split(), "/" + "a" * 3000]
METHODS = ["GET", "POST", "DELETE", "PUT", "HEAD", "OPTIONS", "PATCH", "BREW"]
LIVE = ["/v1/listen", "/v1/events", "/v1/realtime"]
QUERY_NAMES = """encoding sample_rate channels language context settle keyterm endpointing interim_results vad_events"""
QUERY = QUERY_NAMES.split()
KNOWN_KINDS = """flush finish Finalize Configure KeepAlive CloseStream session.update input_audio_buffer.append
input_audio_buffer.commit input_audio_buffer.clear transcription_session.update response.create"""
KINDS = [*KNOWN_KINDS.split(), "", None, 7]
KEY_NAMES = """session audio input format type rate turn_detection transcription language languages prompt keywords
delay silence_duration_ms threshold noise_reduction include model final keyterms event_id"""
KEYS = KEY_NAMES.split()
HEADERS = ["Origin: null", "Authorization: Bearer", "Upgrade: websocket", "Expect: 100-continue", "X: \x01"]
LEAKS = re.compile(r"Traceback|File \"|site-packages|\.py\b|livecap-uploads|secret-folder")
"""What no answer may hold. The folders of the server are below one named secret-folder."""


class Fuzzer:
    """Makes senseless input, the same for the same seed."""

    def __init__(self, seed, sounds):
        self._random = random.Random(seed)
        self._sounds = sounds
        self.pick = self._random.choice

    def chance(self, share):
        return self._random.random() < share

    def some(self, most):
        return range(self._random.randint(0, most))

    def junk(self, most=200):
        return self._random.randbytes(self._random.randint(0, most))

    def mangled(self, data):
        """Bytes of which some are changed, left out or repeated."""
        data = bytearray(data)
        for _ in self.some(4):
            at = self._random.randint(0, len(data))
            data[at : at + self._random.randint(0, 9)] = self.junk(9)
        return bytes(data)

    def value(self, depth=0):
        """What JSON can hold."""
        if depth < 4 and self.chance(0.4):
            if self.chance(0.3):
                return [self.value(depth + 1) for _ in self.some(3)]
            return {self.pick(KEYS): self.value(depth + 1) for _ in self.some(4)}
        return self.pick([None, True, False, 0, -1, 1.5, 24000, 1e308, 10**30, *TEXTS])

    def message(self):
        """One message of a live client."""
        if self.chance(0.3):
            return self.pick([self.junk(5000), pcm(loud(3)), b""])
        if self.chance(0.1):
            return self.pick(["", "{", "[" * 5000, "[]", "null", '{"type": "finish"', "\u0000", "1" * 9000])
        message = {key: self.value() for key in (self.pick(KEYS) for _ in self.some(3))}
        message["type"] = self.pick(KINDS)
        if message["type"] == "input_audio_buffer.append" and self.chance(0.8):
            message["audio"] = base64.b64encode(self.pick([self.junk(4000), pcm(loud(2))])).decode()
        return json.dumps(message)

    def query(self):
        found = [f"{self.pick(QUERY)}={self.pick(['true', '48000', '2', *map(_quoted, TEXTS)])}" for _ in self.some(4)]
        return "&".join(["encoding=linear16"] * self.chance(0.7) + found)

    def body(self):
        """Content type and content of a request."""
        if self.chance(0.2):
            return self.pick(["", "text/plain", "multipart/form-data", "multipart/form-data; boundary=x"]), self.junk()
        if self.chance(0.3):
            fields = {self.pick(FIELDS).removesuffix("[]"): self.value() for _ in self.some(5)}
            data = json.dumps(fields | {"path": self.pick(TEXTS)} if self.chance(0.8) else fields).encode()
            return "application/json", self.mangled(data) if self.chance(0.2) else data
        parts = [(self.pick(FIELDS), "", self.pick(TEXTS).encode()) for _ in self.some(4)]
        if self.chance(0.8):
            sound = self.pick(self._sounds)
            parts.append(("file", '; filename="../x"', self.mangled(sound) if self.chance(0.5) else sound))
        data = b"".join(
            f'--x\r\nContent-Disposition: form-data; name="{name}"{more}\r\n\r\n'.encode() + content + b"\r\n"
            for name, more, content in parts
        )
        data += b"--x--\r\n"
        return "multipart/form-data; boundary=x", self.mangled(data) if self.chance(0.2) else data

    def request(self):
        """The bytes of an HTTP request, and whether it is whole."""
        kind, data = self.body() if self.chance(0.7) else ("", b"")
        path = self.pick(PATHS) if self.chance(0.5) else self.pick(["/v1/audio/transcriptions", "/transcribe"])
        method = self.pick(METHODS) if self.chance(0.4) else "POST"
        host = self.pick(["127.0.0.1"] * 9 + ["evil.example", "[::1]:80", ""])
        lines = [f"{method} {path}?{self.query()} HTTP/1.1", f"Host: {host}", "Connection: close"]
        lines += [f"Content-Length: {len(data)}", *([f"Content-Type: {kind}"] if kind else [])]
        if self.chance(0.2):
            lines.append(self.pick(HEADERS))
        whole = "\r\n".join([*lines, "", ""]).encode() + data
        return (self.mangled(whole), False) if self.chance(0.15) else (whole, True)


def _quoted(text):
    return "".join(f"%{byte:02x}" for byte in text[:50].encode())


@pytest.fixture
def sounds():
    """Files of sound."""
    files = []
    for kind, subtype in (("WAV", "PCM_16"), ("WAV", "ULAW"), ("FLAC", "PCM_16"), ("OGG", "VORBIS")):
        file = io.BytesIO()
        soundfile.write(file, loud(3), SAMPLE_RATE, subtype, format=kind)
        files.append(file.getvalue())
    return [*files, b"", b"RIFF\xff\xff\xff\xffWAVE", b"\0" * 3000]


@pytest.fixture
def server(monkeypatch, tmp_path, sounds):
    """Host and port of a server that reads uploads in earnest, and whose model is a script."""

    def transcribe_file(engine, path, options, hooks):
        recording = Recording(path)
        try:
            n_samples = sum(len(block) for block in recording.blocks(4 * SAMPLE_RATE))
        finally:
            recording.close()
        hooks.on_progress(Progress(0.1, None, "w1"))
        segment = Segment("w1", 0, n_samples, "English", (), "stop")
        return Transcription("w1", n_samples / SAMPLE_RATE, "English", (segment,))

    place = tmp_path / "secret-folder"
    for name in ("uploads", "shared"):
        (place / name).mkdir(parents=True)
    (place / "shared" / "talk.wav").write_bytes(sounds[0])
    said, workers, stop, ready = [], [], threading.Event(), threading.Event()

    def say(sentence):
        said.append(sentence)
        ready.set()

    def worker_of(settings, report):
        workers.append(scripted_worker(said))
        return workers[0]

    monkeypatch.setattr(worker_module, "transcribe_file", transcribe_file)
    monkeypatch.setattr(LiveSocket, "silent_seconds", SECONDS)
    monkeypatch.setattr(run_module, "Worker", worker_of)
    monkeypatch.setattr("livecap.serve.stopping.TELL_SECONDS", 0.0)
    monkeypatch.setattr(run_module.tempfile, "gettempdir", lambda: str(place / "uploads"))
    monkeypatch.setattr(run_module.tempfile, "tempdir", str(place / "uploads"))
    settings = EngineSettings("tiny")
    arguments = [settings, "127.0.0.1", 0, None, 1 << 20, say, stop, None, [place / "shared"]]
    thread = threading.Thread(target=run_module.serve, args=arguments, kwargs={"most_a_minute": math.inf})
    thread.start()
    assert ready.wait(60)
    port = int(re.search(r":(\d+)/v1", said[0])[1])
    yield "127.0.0.1", port
    eventually(lambda: not workers[0].is_used)
    folders = [list(folder.iterdir()) for folder in (place / "uploads").iterdir()]
    stop.set()
    thread.join(60)
    assert not thread.is_alive() and len(said) == 1, f"the server had faults: {said[1:]}"
    assert folders == [[]] and list((place / "uploads").iterdir()) == []
    assert [path.name for path in (place / "shared").iterdir()] == ["talk.wav"]


def ask(address, data, is_whole):
    """The answer to a request; what is not whole is cut off, so that the server does not wait for the rest."""
    with socket.create_connection(address, SECONDS) as connection:
        answer = b""
        with contextlib.suppress(ConnectionError):
            connection.sendall(data)
            if not is_whole:
                connection.shutdown(socket.SHUT_WR)
            while piece := connection.recv(1 << 16):
                answer += piece
    return answer


def converse(address, fuzzer, n_messages):
    """Send messages over one live connection; what the server said, and the code with which it closed."""
    said = []
    path = fuzzer.pick(LIVE)
    url = f"ws://{address[0]}:{address[1]}{path}?{fuzzer.query()}"
    limits = {"open_timeout": SECONDS, "close_timeout": SECONDS, "max_size": None}
    with contextlib.suppress(WebSocketException, ConnectionError), connect(url, **limits) as client:
        try:
            for _ in range(n_messages):
                client.send(fuzzer.message())
            if fuzzer.chance(0.5):
                client.send('{"type": "finish"}' if "events" in path else '{"type": "CloseStream"}')
                for _ in range(n_messages):
                    said.append(str(client.recv(0.05)))
        except (TimeoutError, WebSocketException):
            pass
        finally:
            if fuzzer.chance(0.2):
                with contextlib.suppress(OSError):  # it is closed
                    client.socket.shutdown(socket.SHUT_RDWR)  # without a word
            client.close()
            said.append(f"closed {client.close_code} {client.close_reason}")
    return said


# Starlette leaves the file of an upload that is cut off to Python.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_no_input_makes_a_fault_or_tells_a_path(server, sounds):
    fuzzer = Fuzzer(SEED, sounds)
    n_sent = 0
    while n_sent < N_SENT:
        if fuzzer.chance(0.9):
            data, is_whole = fuzzer.request()
            answer = ask(server, data, is_whole).decode("latin-1")
            n_sent += 1
            status = re.match(r"HTTP/1\.1 (\d{3}) ", answer)
            assert (status is not None) or not is_whole, f"no answer to {data[:300]!r}"
            assert status is None or int(status[1]) < 500, f"{answer[:300]!r} to {data[:300]!r}"
            said = [answer]
        else:
            n_messages = fuzzer.pick([1, 3, 9])
            n_sent += n_messages
            said = converse(server, fuzzer, n_messages)
            assert not any(text.startswith("closed 1011") for text in said)
        for text in said:
            assert not LEAKS.search(text), text[:500]
    health = ask(server, b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n", True)
    assert health.endswith(b'{"status":"ok"}')
