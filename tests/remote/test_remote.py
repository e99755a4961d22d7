"""A server in the place of a model: our own, and a stand-in that answers as vLLM does, well and badly."""

import io
import json
import os
import shutil
import socket
import ssl
import threading
import time
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from email.parser import BytesParser
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path

import numpy as np
import pytest
import soundfile
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from livecap.archive.archive import Archive
from livecap.archive.folder import AUDIO, SINGLE
from livecap.archive.recorded import RecordedSession
from livecap.cli.main import run
from livecap.engine import EngineSettings
from livecap.errors import ModelError
from livecap.remote.engine import RECORDED_SECONDS, RemoteEngine
from livecap.remote.recogniser import RemoteRecogniser
from livecap.remote.server import RemoteServer, ServerTrouble
from livecap.remote.words import RemoteWords
from tests.archive.facts import said, write

RECORDING = Path(__file__).parents[2] / "recordings" / "dictation.flac"
MODEL = "Qwen/Qwen3-ASR-0.6B"
SOUND = np.full(16_000, 0.25, np.float32)
VLLM = {"text": " Dear Maria.", "usage": {"type": "duration", "seconds": 1}}
LISTED = {"object": "list", "data": [{"id": MODEL, "object": "model", "created": 1, "owned_by": "vllm", "root": MODEL}]}


def error(message, status):
    """A body of vLLM's shape."""
    return {"error": {"message": message, "type": "BadRequestError", "param": None, "code": status}}


class StandIn:
    """Answers each request with the next of `answers`, (status, body or bytes, headers); the last one repeats."""

    def __init__(self, context=None):
        """
        Args:
            context: of TLS; None serves without.
        """
        self.answers, self.asked, self.clients = [(200, VLLM, {})], [], []
        self.delay = 0.0
        """Seconds that a transcription takes."""
        stand_in = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                self.answer(200, LISTED, {})

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                stand_in.asked.append((self.path, dict(self.headers), body))
                time.sleep(stand_in.delay)
                self.answer(*(stand_in.answers.pop(0) if len(stand_in.answers) > 1 else stand_in.answers[0]))

            def answer(self, status, body, headers):
                data = body if isinstance(body, bytes) else json.dumps(body).encode()
                self.send_response(status)
                for name, value in ({"Content-Length": str(len(data))} | headers).items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(data)
                self.close_connection = "Content-Length" in headers  # half an answer, and no more

            def log_message(self, *arguments):
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.handle_error = lambda request, client: None  # a client that did not wait for its answer
        self.has_closed = threading.Event()
        """A connection was closed."""
        shutdown = self._server.shutdown_request
        self._server.shutdown_request = lambda request: (shutdown(request), self.has_closed.set())
        if context is not None:
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.url = f"http{'s' * (context is not None)}://127.0.0.1:{self._server.server_port}/v1"
        threading.Thread(target=self._server.serve_forever, args=[0.01], daemon=True).start()

    def client(self, key=None):
        """A client, which the fixture closes."""
        self.clients.append(RemoteServer(self.url, key))
        return self.clients[-1]

    def form(self):
        """The fields of the last request."""
        _, headers, body = self.asked[-1]
        message = BytesParser(EmailMessage).parsebytes(
            f"Content-Type: {headers['Content-Type']}\r\n\r\n".encode() + body
        )
        parts = message.get_payload()
        return {part.get_param("name", header="content-disposition"): part.get_payload(decode=True) for part in parts}

    def close(self):
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def stand_in():
    server = StandIn()
    yield server
    for client in server.clients:
        client.close()
    server.close()


@pytest.fixture
def secure(tmp_path, monkeypatch):
    """A stand-in with TLS, whose certificate is trusted."""
    key, now, name = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC), x509.Name([])
    certificate = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    certificate = certificate.not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=1))
    here = x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))])
    certificate = certificate.add_extension(here, critical=True).sign(key, SHA256())
    path = tmp_path / "key and certificate.pem"
    secret = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    path.write_bytes(secret + certificate.public_bytes(Encoding.PEM))
    monkeypatch.setenv("SSL_CERT_FILE", str(path))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    server = StandIn(context)
    yield server
    for client in server.clients:
        client.close()
    server.close()


class Clock:
    """Time that passes when somebody waits."""

    def __init__(self):
        self.seconds = 0.0

    def __call__(self):
        return self.seconds

    def wait(self, seconds):
        self.seconds += seconds


class ScriptedServer:
    """Raises or returns what a script says; the last entry repeats."""

    host = "gpu.example.org"

    def __init__(self, script):
        self.script, self.n_asked = list(script), 0

    def transcribe(self, samples, fields):
        self.n_asked += 1
        found = self.script.pop(0) if len(self.script) > 1 else self.script[0]
        if isinstance(found, Exception):
            raise found
        return found


def engine(script, said, **options):
    clock = Clock()
    settings = EngineSettings(MODEL, remote="gpu.example.org")
    return RemoteEngine(ScriptedServer(script), settings, said.append, wait=clock.wait, now=clock, **options), clock


# ---- requests


def test_a_request_has_vllms_fields_and_the_key(stand_in):
    server = stand_in.client("sk-secret")
    assert server.models() == [MODEL]
    text = server.transcribe(SOUND, {"model": MODEL, "language": "en", "prompt": "Priya\nKowalski"})
    assert text == VLLM["text"]
    path, headers, _ = stand_in.asked[0]
    assert path == "/v1/audio/transcriptions" and headers["Authorization"] == "Bearer sk-secret"
    form = stand_in.form()
    sound = form.pop("file")
    assert form == {
        "response_format": b"json",
        "temperature": b"0",
        "model": MODEL.encode(),
        "language": b"en",
        "prompt": b"Priya\nKowalski",
    }
    assert sound[:4] == b"RIFF" and np.frombuffer(sound[80:], "<i2").tolist() == [8192] * 16_000
    assert server.transcribe(SOUND, {"model": MODEL}) == VLLM["text"], "the connection is used again"


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (
            (401, error("Unauthorized", 401), {}),
            "needs a key, in LIVECAP_REMOTE_KEY or in the file remote_key_file (401",
        ),
        ((404, error("The model `x` does not exist.", 404), {}), "has no such address or model (404: The model `x`"),
        ((429, error("slow down", 429), {"Retry-After": "7"}), "has too many requests (429: slow down)"),
        ((500, b"<html>", {}), "fails (500)"),
        ((400, error("Audio\x1b[2J is bad", 400), {}), "refuses the request (400: Audio"),
        ((307, b"", {"Location": "http://127.0.0.1:9/"}), "redirects to another address (307), which is not followed"),
        ((200, b"<html>", {}), "sends no valid answer"),
        ((200, [], {}), "sends no valid answer"),
        ((200, {"text": None}, {}), "answers with something else than a transcription"),
        ((200, b'{"text": "Dear', {"Content-Length": "90"}), "sends half an answer"),
    ],
    ids=lambda value: None if isinstance(value, str) else str(value[:2])[:30],
)
def test_a_bad_answer_is_one_clear_sentence(stand_in, answer, message):
    stand_in.answers = [answer, (200, VLLM, {})]
    server = stand_in.client()
    with pytest.raises(ServerTrouble) as raised:
        server.transcribe(SOUND, {"model": MODEL})
    assert str(raised.value).startswith(message) and "\x1b" not in str(raised.value)
    assert raised.value.refuses == (answer[0] == 400)
    assert raised.value.retry_seconds == (7 if answer[0] == 429 else None)
    assert server.transcribe(SOUND, {"model": MODEL}) == VLLM["text"], "the next request is answered"


def test_a_server_that_is_silent_or_away_is_one_clear_sentence(monkeypatch):
    monkeypatch.setattr("livecap.remote.server.ANSWER_SECONDS", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        server = RemoteServer(f"http://127.0.0.1:{silent.getsockname()[1]}/v1")
        with pytest.raises(ServerTrouble, match="does not answer in time"):
            server.transcribe(SOUND[:100], {"model": MODEL})
    with pytest.raises(ServerTrouble, match="cannot be reached"):
        server.transcribe(SOUND, {"model": MODEL})


@pytest.mark.parametrize("kind", ["stand_in", "secure"])
def test_a_connection_that_the_server_has_closed_is_opened_again(kind, request):
    stand_in = request.getfixturevalue(kind)
    data = json.dumps(VLLM).encode()
    stand_in.answers = [(200, data, {"Content-Length": str(len(data))})]  # and no more on this connection
    server = stand_in.client()
    for _ in range(3):
        stand_in.has_closed.clear()
        assert server.transcribe(SOUND, {"model": MODEL}) == VLLM["text"]
        assert stand_in.has_closed.wait(20)


def test_a_server_that_did_not_answer_in_time_gets_more_time(stand_in, monkeypatch):
    monkeypatch.setattr("livecap.remote.server.ANSWER_SECONDS", 0.05)
    stand_in.delay = 0.08
    server = stand_in.client()
    n_late, text = 0, None
    while text is None and n_late < 8:
        try:
            text = server.transcribe(SOUND[:100], {"model": MODEL})
        except ServerTrouble as trouble:
            assert str(trouble) == "does not answer in time"
            n_late += 1
    assert text == VLLM["text"] and n_late >= 1


# ---- waiting


def test_sound_waits_for_a_server_and_two_notices_say_so():
    said = []
    remote, _ = engine([ServerTrouble("fails (503)")] * 4 + ["Dear Maria."], said)
    assert remote.hear(SOUND) == "Dear Maria."
    assert said == [
        "gpu.example.org fails (503). Sound waits until it transcribes again.",
        "gpu.example.org transcribes again. The sound that waited is transcribed now.",
    ]


def test_one_failure_is_not_worth_a_notice_and_retry_after_is_kept():
    said = []
    remote, clock = engine([ServerTrouble("is busy", retry_seconds=7.0), "Dear Maria."], said)
    assert remote.hear(SOUND) == "Dear Maria." and said == []
    assert clock.seconds == pytest.approx(7.0)


def test_a_live_session_waits_for_hours_and_ends_soon_when_it_is_asked_to():
    ends = [3 * 3600.0]
    said = []
    remote, clock = engine([ServerTrouble("is away")], said, is_ending=lambda: clock.seconds >= ends[0])
    with pytest.raises(ModelError, match="The last sound has no text. It is kept for 7 days: livecap recover"):
        remote.hear(SOUND)
    assert ends[0] < clock.seconds < ends[0] + 15 and len(said) == 1


def test_a_recording_does_not_wait_for_ever():
    remote, clock = engine([ServerTrouble("is away")], [], live=False)
    with pytest.raises(ModelError, match="Start the server"):
        remote.hear(SOUND)
    assert RECORDED_SECONDS <= clock.seconds < RECORDED_SECONDS + 20


def test_sound_that_is_refused_costs_its_own_text_alone():
    said, refusal = [], ServerTrouble("refuses the request (400)", refuses=True)
    remote, _ = engine(["one", refusal, refusal, refusal, "two", refusal], said)
    words = RemoteWords()
    recogniser = RemoteRecogniser(remote.hear, words)
    recogniser.begin(0)
    recogniser.append(SOUND)
    one = recogniser.decode((), (), (), 100)
    again = recogniser.decode((), (), one.ids, 100)
    assert again.ids == one.ids and again.complete, "the draft stays"
    assert words.decode(recogniser.decode((), (), (), 100).ids) == " two"
    assert len(said) == 2 and said[-1].endswith("Some seconds of sound may stay without text.")


def test_an_utterance_that_a_server_refuses_from_some_length_on_does_not_hold_up_the_next():
    class TakesTwoSeconds(ScriptedServer):
        def transcribe(self, samples, fields):
            if len(samples) > 32_000:
                raise ServerTrouble("refuses the request (400: The sound is too long)", refuses=True)
            return super().transcribe(samples, fields)

    said = []
    remote, clock = engine([], said, live=False)
    remote._server = TakesTwoSeconds(["heard"])
    long, short = np.linspace(0, 1, 96_000, dtype=np.float32), SOUND
    texts = [remote.hear(long[:n]) for n in range(16_000, 96_001, 16_000)]
    assert texts == ["heard", "heard", None, None, None, None]
    assert remote.hear(short) == "heard" and clock.seconds < 10
    assert len([each for each in said if each.endswith("may stay without text.")]) == 1
    assert remote.hear(long[8000:]) is None and remote.hear(short) == "heard", "another one has a chance of its own"


def test_a_refusal_after_other_failures_costs_no_text():
    refusal = ServerTrouble("refuses the request (400)", refuses=True)
    said = []
    remote, _ = engine(["one", *[ServerTrouble("fails (503)")] * 4, refusal, refusal, "two"], said)
    assert [remote.hear(SOUND), remote.hear(SOUND)] == ["one", "two"]
    assert not any("without text" in each for each in said)


def test_a_second_pass_never_waits():
    remote, clock = engine([ServerTrouble("is away"), "Dear Maria."], [])
    assert remote.hear_again(SOUND) is None
    assert remote.hear_again(SOUND) is None, "the server was away a moment ago"
    assert clock.seconds == 0 and remote._server.n_asked == 1
    assert remote.hear(SOUND) == remote.hear_again(SOUND) == "Dear Maria."


# ---- text


@pytest.mark.parametrize(
    ("said", "heard", "new"),
    [
        ("", "Dear Maria, thank you.", " Dear Maria, thank you."),
        ("Dear Maria,", "Dear Maria, thank you.", " thank you."),
        ("Dear Maria", "Dear Maria, thank you.", ", thank you."),
        ("Dear Maria,", "Dear Maria. Thank you.", " Thank you."),
        ("Dear mariah", "Oh dear Maria thank you", " thank you"),
        ("I am in London", "I'm in London but you can call", " but you can call"),
        ("we went home we went", "We went home. We went away.", " away."),
        ("今日は", "今日はいい天気", "いい天気"),
        ("Dear Maria", "Dear", ""),
    ],
)
def test_what_is_new_follows_the_words_that_are_most_like_those_said(said, heard, new):
    words = RemoteWords()
    before = words.encode(said)
    assert words.decode(words.after(before, words.encode(heard))) == new


def test_text_goes_through_ids_unchanged():
    words = RemoteWords()
    for text in ("It's 3.5 o'clock — “really”?", "今日はGPUです。", "नमस्ते दुनिया", "don't, e-mail"):
        assert words.decode(words.encode(text)).strip() == text


def test_a_vowel_sign_is_in_the_piece_of_its_consonant() -> None:
    words = RemoteWords()
    ids = words.encode("ที่เรา か\u3099")
    assert [words.decode([id]) for id in ids] == ["ที่", "เรา", " か\u3099"]


def test_a_language_that_a_server_leaves_in_its_text_is_the_header():
    words = RemoteWords()
    recogniser = RemoteRecogniser(lambda sound: "language English<asr_text>Dear Maria.", words)
    recogniser.begin(0)
    decoded = recogniser.decode((), (), (), 100)
    assert words.decode(decoded.header) == "language English<asr_text>" and words.decode(decoded.ids) == " Dear Maria."


# ---- sessions


def test_a_session_with_our_own_server_has_the_text_of_its_model(tiny_server, tmp_path, capsys):
    arguments = ["--replay", str(RECORDING), "--end", "4", "--pace", "max", "--plain", "--log-dir", str(tmp_path)]
    assert run([*arguments, "--remote", tiny_server.url]) == 0
    printed = capsys.readouterr()
    assert "Dear Maria, thank you for your letter" in printed.out
    assert printed.err.count("The sound of speech goes to 127.0.0.1") == 1
    started = Archive(tmp_path).open(Archive(tmp_path).names()[0]).started
    assert started.model == "tiny" and started.settings["remote"] == tiny_server.url


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--remote", "{url}", "--remote-model", "other"], "has no model 'other'; it has Qwen/Qwen3-ASR-0.6B."),
        (["--remote", "http://127.0.0.1:9/v1"], "http://127.0.0.1:9/v1 cannot be reached"),
        (["--remote-model", "other"], "--remote-model names a model of a server; use it with --remote URL."),
        (["--remote", "{url}", "--model", "tiny"], "choose it with --remote-model, not --model."),
    ],
)
def test_a_server_that_cannot_be_used_is_one_line(stand_in, tmp_path, capsys, arguments, message):
    arguments = [argument.format(url=stand_in.url) for argument in arguments]
    assert run(["--replay", str(RECORDING), "--plain", "--log-dir", str(tmp_path), *arguments]) == 1
    assert message in capsys.readouterr().err and stand_in.asked == []


def test_a_model_that_is_asked_for_keeps_the_sound_here(stand_in, tmp_path, capsys, monkeypatch):
    """The settings name a server, and `--model` one of this computer."""
    monkeypatch.setenv("LIVECAP_REMOTE", stand_in.url)
    arguments = ["--replay", str(RECORDING), "--end", "4", "--pace", "max", "--plain", "--log-dir", str(tmp_path)]
    assert run([*arguments, "--model", "tiny"]) == 0
    assert "Dear Maria, thank you for your letter" in capsys.readouterr().out and stand_in.asked == []
    assert run([*arguments, "--model", "tiny", "--remote-model", "other"]) == 1


@pytest.fixture
def clip(tmp_path):
    """The first 4 s of the recording, with its words."""
    sound, rate = soundfile.read(RECORDING, 4 * 16_000)
    soundfile.write(tmp_path / "clip.flac", sound, rate)
    words = [word for word in json.loads(RECORDING.with_suffix(".words.json").read_text()) if word["end"] < 3.5]
    (tmp_path / "clip.words.json").write_text(json.dumps(words))
    (tmp_path / "clip.txt").write_text(" ".join(word["word"] for word in words))
    return tmp_path / "clip.flac"


def test_the_error_rate_and_the_delay_of_a_server_are_measured(tiny_server, clip, capsys):
    assert run(["eval", str(clip), "--remote", tiny_server.url, "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    [figures] = result["all"]
    assert result["model"] == "tiny" and result["remote"].startswith("127.0.0.1:")
    assert figures["wer"]["offline"] < 0.5 and figures["wer"]["stable"] < 0.5
    assert figures["latency_seconds"]["commit"]["n"] > 3 and figures["step_seconds"]["p50"] > 0


def test_processes_measure_a_server_together(stand_in, clip, capsys):
    """What loads its engine is sent to each of them."""
    assert run(["eval", str(clip), "--remote", stand_in.url, "--jobs", "2", "--chunk", "2", "--json"]) == 0
    [figures] = json.loads(capsys.readouterr().out)["recordings"]
    assert figures["recording"] == "clip" and stand_in.asked != []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--model", "tiny"], "choose it with --remote-model, not --model."),
        (["--remote-model", "other"], "has no model 'other'"),
    ],
)
def test_what_cannot_be_measured_is_one_line(stand_in, clip, capsys, arguments, message):
    assert run(["eval", str(clip), "--remote", stand_in.url, *arguments]) == 1
    assert message in capsys.readouterr().err


def test_a_recovery_tells_that_a_server_fails_and_gives_up(stand_in, tmp_path, capsys, monkeypatch):
    folder = write(tmp_path, said(["Good morning."]), end=False)
    (folder / AUDIO).mkdir()
    shutil.copyfile(RECORDING, folder / AUDIO / f"{SINGLE}.flac")
    stand_in.answers = [(500, error("broken", 500), {})]
    monkeypatch.setattr("livecap.remote.engine.RECORDED_SECONDS", 1.0)
    assert run(["recover", folder.name, "--log-dir", str(tmp_path), "--remote", stand_in.url]) == 1
    told = capsys.readouterr().err.splitlines()
    assert len(told) == 2 and "Sound waits" in told[0] and "Start the server, and then this" in told[1]
    assert not RecordedSession(folder).ended and (folder / AUDIO / f"{SINGLE}.flac").exists()


def test_a_pipe_that_ends_while_the_server_fails_is_given_up_soon_and_can_be_recovered(
    stand_in, tmp_path, capfd, monkeypatch
):
    stand_in.answers = [(500, error("broken", 500), {})]
    monkeypatch.setattr("livecap.remote.engine.ENDING_SECONDS", 0.3)
    monkeypatch.setattr("livecap.remote.engine.PAUSES_SECONDS", (0.01,))
    sound, _ = soundfile.read(RECORDING, 4 * 16_000, dtype="int16")
    receiving, sending = os.pipe()
    monkeypatch.setattr("livecap.cli.sound._take_standard_input", lambda: receiving)
    monkeypatch.setattr("sys.stdin", io.StringIO())

    def send():
        with open(sending, "wb") as pipe:
            pipe.write(sound.tobytes())

    sender = threading.Thread(target=send)
    sender.start()
    options = ["--plain", "--log-dir", str(tmp_path), "--remote", stand_in.url]
    assert run(["--stdin", *options]) == 1
    sender.join()
    os.close(receiving)
    last = capfd.readouterr().err.splitlines()[-1]
    assert "fails (500: broken). The last sound has no text. It is kept for 7 days" in last
    [name] = Archive(tmp_path).names()
    stand_in.answers = [(200, VLLM, {})]
    assert run(["recover", name, "--log-dir", str(tmp_path), "--remote", stand_in.url]) == 0
    recovered = RecordedSession(tmp_path / name)
    assert recovered.ended and [each.text for each in recovered.utterances()] == ["Dear Maria."]
    assert recovered.n_samples == 4 * 16_000


@pytest.mark.parametrize("url", ["host/v1", "ftp://host/v1", "https://user" + ":key@host/v1", "https://host/v1?key=1"])
def test_what_is_no_address_of_a_server_is_refused(url, capsys):
    with pytest.raises(SystemExit):
        run(["--remote", url])
    assert "must be an address such as https://host/v1" in capsys.readouterr().err
