"""`livecap bridge`: each request has one answer that fits the schema, and what is said is what livecap hears."""

import asyncio
import base64
import importlib.resources
import json
import os
from concurrent.futures import Future
from pathlib import Path

import numpy as np
import pytest
import soundfile
from jsonschema import Draft202012Validator

from livecap.audio_in.source import AudioBlock
from livecap.cli.main import run as livecap
from livecap.engine import Engine, EngineSettings
from livecap.errors import ModelError
from livecap.serve.bridge import bridge as bridge_module
from livecap.serve.bridge.bridge import Bridge
from livecap.serve.bridge.capabilities import BridgeSettings
from livecap.serve.served_stream import BLOCK_SAMPLES
from livecap.serve.worker import Worker
from livecap.shipped import demo_recording
from livecap.stream.config import ChunkConfig, StreamConfig
from livecap.text.scripts import joined
from livecap.transcribe.recordings import Options, transcribe_file

SCHEMA = json.loads(importlib.resources.files("livecap.serve.bridge").joinpath("schema.json").read_text())
STREAM = StreamConfig(chunk=ChunkConfig(chunk_seconds=1.0, step_cost_seconds=0.0))
SECONDS = 5


def validator(kind):
    return Draft202012Validator({**SCHEMA, "oneOf": [{"$ref": f"#/$defs/{kind}"}]})


REQUEST, MESSAGE = validator("request"), validator("message")


class SharedWorker(Worker):
    """Is loaded once for all tests of this file."""

    def load(self):
        if self.engine is None:
            return super().load()
        loaded = Future()
        loaded.set_result(None)
        return loaded

    def close(self, seconds=None):
        pass


@pytest.fixture(scope="module")
def worker():
    said = []
    worker = SharedWorker(EngineSettings("tiny", stream=STREAM), said.append)
    yield worker
    Worker.close(worker)
    assert said == []


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    """(int16 samples, path of a file that holds them)."""
    samples, rate = soundfile.read(demo_recording(), dtype="int16", frames=SECONDS * 16000)
    path = tmp_path_factory.mktemp("sound") / "six.wav"
    soundfile.write(path, samples, rate)
    return samples, str(path)


def talk(worker, *requests, check=True):
    """The messages that a caller gets who sends these requests, lines of bytes or objects, and closes its end."""
    messages, faults = [], []
    for request in requests:
        if check and isinstance(request, dict):
            REQUEST.validate(request)

    async def run():
        lines = asyncio.Queue()
        for request in requests:
            lines.put_nowait(request if isinstance(request, bytes) else json.dumps(request).encode())
        lines.put_nowait(None)
        make = worker if callable(worker) else lambda: worker
        await Bridge(BridgeSettings("tiny"), make, messages.append, faults.append).run(lines)

    asyncio.run(run())
    assert faults == []
    for message in json.loads(json.dumps(messages, allow_nan=False)):
        MESSAGE.validate(message)
    return messages


def chunks(samples, n=4000, **fields):
    return [
        {"type": "audio_chunk", "pcm16": base64.b64encode(samples[at : at + n].tobytes()).decode(), **fields}
        for at in range(0, len(samples), n)
    ]


def kinds(messages):
    return [message["type"] for message in messages]


def live_text(worker, samples):
    """What a live session hears."""

    def hear():
        transcriber = worker.engine.transcriber()
        updates = []
        for at in range(0, len(samples), BLOCK_SAMPLES):
            transcriber.accept(AudioBlock(at, samples[at : at + BLOCK_SAMPLES] / np.float32(32768)))
            if transcriber.ready:
                updates += transcriber.step()
        updates += transcriber.flush()
        transcriber.close()
        return joined(update.stable for update in updates if update.final)

    return worker.submit(lambda engine, hooks: hear(), bridge_module.Asked()).done.result(60)


@pytest.fixture(scope="module")
def callers(worker, sound):
    """What callers of qwen3-asr-mlx-runtime send, and its answers."""
    samples, path = sound
    return talk(
        worker,
        {"type": "start"},
        {"type": "transcribe", "audio": path, "max_new_tokens": 0},
        {"type": "batch_transcribe", "decoder_mode": "batched", "audio": [path, path], "max_new_tokens": 0},
        {"type": "start_stream", "stream_id": "live", "sample_rate": 16000, "batch_size": 2, "max_batch_delay_ms": 120},
        *chunks(samples, stream_id="live", seq=1),
        {"type": "end_utterance", "stream_id": "live", "utterance_id": "utt-1"},
        {"type": "vad_boundary", "stream_id": "live", "utterance_id": "utt-2", "audio": path},
        {"type": "flush", "decoder_mode": "sequential", "max_new_tokens": 0},
        *chunks(samples[:16000], stream_id="live"),
        {"type": "stop_stream", "stream_id": "live"},
        {"type": "stop"},
    )


def test_callers_of_the_runtime_get_one_answer_each_in_order(callers):
    assert kinds(callers) == [
        "ready", "transcript", "batch_transcript", "stream_ready", *["partial_result"] * 20, "utterance_queued",
        "realtime_batch_final", "realtime_batch_final", *["partial_result"] * 4, "stream_stopped", "stopped",
    ]  # fmt: skip


def test_each_answer_says_what_it_took(callers):
    for answer in callers[:-1]:
        assert (answer.get("profile") or answer["load_profile"])["memory"]["rss_peak_mb"] > 50
    assert callers[1]["profile"]["realtime_factor"] > 0 and callers[1]["decode_seconds"] > 0
    assert sum(answer["profile"]["decode_seconds"] for answer in callers if answer["type"] == "partial_result") > 0


def test_partial_results_have_text_that_grows(callers):
    partials = [answer for answer in callers if answer["type"] == "partial_result"][:20]
    assert [answer["samples_buffered"] for answer in partials] == list(range(4000, 80001, 4000))
    assert all(answer["text"] == answer["stable"] + answer["partial"] for answer in partials)
    stables = [answer["stable"] for answer in partials]
    assert all(after.startswith(before) for before, after in zip(stables, stables[1:], strict=False))
    assert len(partials[11]["text"].split()) >= 2 and len(stables[-1].split()) > 8


def test_the_final_text_is_that_of_a_live_session_and_of_files_that_of_transcribe(worker, sound, callers):
    samples, path = sound
    final = next(answer for answer in callers if answer["type"] == "realtime_batch_final")
    buffered, given = final["items"]
    assert final["reason"] == "batch_size" and (buffered["source"], given["source"]) == ("buffer", path)
    assert buffered["text"] == live_text(worker, samples) and buffered["samples"] == len(samples)

    def transcribe(engine, hooks):
        return transcribe_file(engine, Path(path), Options(), hooks)

    text = worker.submit(transcribe, bridge_module.Asked()).done.result(60).text
    batch = callers[2]["items"]
    assert text == given["text"] == callers[1]["text"] == batch[0]["text"] == batch[1]["text"]
    assert len(text.split()) > 8 and callers[1]["audio_embeddings_shape"] == [65, 256]


def test_sound_that_no_boundary_ended_is_dropped(callers):
    assert callers[-2]["dropped_samples"] == 16000


def test_events_come_at_once_and_settled_text_follows(worker, sound):
    samples, _ = sound
    half = samples[: len(samples) // 2]
    messages = talk(
        worker,
        {"type": "start_stream", "stream_id": "a", "events": True, "settle": True},
        {"type": "start_stream", "stream_id": 5, "events": True},
        *sum(map(list, zip(chunks(samples, stream_id="a"), chunks(half, stream_id=5, n=2000), strict=True)), []),
        {"type": "stop_stream", "stream_id": "a"},
    )
    for stream_id, given in (("a", samples), ("5", half)):
        own = [message for message in messages if message["stream_id"] == stream_id]
        utterances = [message for message in own if message["type"] == "utterance"]
        updates = [message for message in own if message["type"] == "update"]
        assert joined(each["text"] for each in utterances) == live_text(worker, given)
        assert updates[-1]["final"] and updates[0]["stable"] == "" and utterances[0]["words"]
    settled = [message for message in messages if message["type"] == "settled"]
    assert {message["stream_id"] for message in settled} == {"a"} and "Maria" in settled[0]["text"]
    assert kinds(messages).index("settled") < kinds(messages).index("stream_stopped")


def test_a_descriptor_is_a_stream(worker, sound):
    samples, _ = sound
    reading, writing = os.pipe()
    os.set_inheritable(reading, True)
    os.write(writing, samples[:30000].tobytes())
    os.close(writing)
    messages = talk(worker, {"type": "start_stream", "stream_id": "raw", "fd": reading})
    assert (messages[0]["type"], messages[-1]["type"]) == ("stream_ready", "stream_stopped")
    assert messages[-1]["reason"] == "end of sound"
    said = [message["text"] for message in messages if message["type"] == "utterance"]
    assert "Dear" in joined(said)
    with pytest.raises(OSError):
        os.fstat(reading)


def test_requests_with_an_id_are_answered_when_they_are_ready(worker, sound):
    messages = talk(
        worker,
        {"type": "transcribe", "audio": sound[1], "id": "long", "progress": True, "words": True},
        {"type": "status", "id": 7},
    )
    assert [message["id"] for message in messages if message["type"] != "progress"] == [7, "long"]
    assert [message["id"] for message in messages if message["type"] == "progress"][-1:] == ["long"]
    assert messages[-1]["segments"][0]["words"][0]["text"] == "Dear"


def test_a_file_of_a_batch_that_cannot_be_read_costs_the_others_nothing(worker, sound, callers):
    request = {"type": "batch_transcribe", "audio": ["/nowhere/a.wav", sound[1]], "max_new_tokens": 10**6}
    [message] = talk(worker, request)
    assert (message["code"], message["items"][0]["error"]["code"]) == ("audio_error", "audio_error")
    assert message["items"][1]["text"] == callers[1]["text"]


def test_a_recording_can_be_cancelled(worker, sound):
    messages = talk(
        worker,
        {"type": "transcribe", "audio": sound[1], "id": "first"},
        {"type": "transcribe", "audio": sound[1], "id": "second"},
        {"type": "cancel", "of": "second", "id": 0},
    )
    by_id = {message["id"]: message for message in messages}
    assert by_id[0]["count"] == 1 and by_id["second"]["code"] == "cancelled" and by_id["first"]["text"]


def bad(code, *requests):
    return pytest.param(requests, code, id=f"{code} {str(requests[-1])[:40]}")


CHUNK = {"type": "audio_chunk"}


@pytest.mark.parametrize(
    ("requests", "code"),
    [
        bad("invalid_utf8", b'{"type": "\xff"}'),
        bad("invalid_json", b"nonsense"),
        bad("invalid_json", b'{"type": "start"'),
        bad("invalid_json", b'{"type": "flush", "max_new_tokens": NaN}'),
        bad("invalid_json", b'{"type": "flush", "max_new_tokens": 1e999}'),
        bad("invalid_json", b"[" * 100_000),
        bad("invalid_json", b'{"type": "flush", "max_new_tokens": ' + b"9" * 5000 + b"}"),
        bad("invalid_message", b"[]"),
        bad("invalid_message", b"{}"),
        bad("invalid_message", {"type": 5}),
        bad("unknown_type", {"type": "transcribe\u202e"}),
        bad("invalid_field", {"type": "start", "id": [1]}),
        bad("missing_field", {"type": "transcribe"}),
        bad("invalid_field", {"type": "transcribe", "audio": 7}),
        bad("invalid_field", {"type": "transcribe", "audio": "a\0b"}),
        bad("invalid_field", {"type": "transcribe", "audio": "\ud800"}),
        bad("audio_error", {"type": "transcribe", "audio": "/nowhere/a.wav"}),
        bad("audio_error", {"type": "transcribe", "audio": "/"}),
        bad("audio_error", {"type": "vad_boundary", "audio": "/dev/zero"}),
        bad("invalid_field", {"type": "batch_transcribe", "audio": []}),
        bad("invalid_field", {"type": "batch_transcribe", "audio": "a.wav"}),
        bad("invalid_field", {"type": "flush", "decoder_mode": "fast"}),
        bad("invalid_field", {"type": "flush", "max_new_tokens": -1}),
        bad("invalid_language", {"type": "start_stream", "language": "klingon"}),
        bad("invalid_rate", {"type": "start_stream", "sample_rate": 5}),
        bad("invalid_rate", {"type": "start_stream", "sample_rate": "many"}),
        bad("invalid_rate", {"type": "start_stream", "sample_rate": True}),
        bad("invalid_rate", CHUNK | {"pcm16": "", "sample_rate": 44100}),
        bad("invalid_field", {"type": "start_stream", "stream_id": "x" * 201}),
        bad("invalid_field", {"type": "start_stream", "events": "yes"}),
        bad("invalid_descriptor", {"type": "start_stream", "fd": 9999}),
        bad("invalid_descriptor", {"type": "start_stream", "fd": 0}),
        bad("invalid_base64", CHUNK | {"pcm16": "ab*d"}),
        bad("invalid_base64", CHUNK | {"pcm16": "abc"}),
        bad("invalid_base64", CHUNK | {"pcm16": "ä"}),
        bad("invalid_pcm", CHUNK | {"pcm16": "YWJj"}),
        bad("no_audio", {"type": "end_utterance"}),
        bad("no_audio", {"type": "end_utterance", "pcm16": ""}),
    ],
)
def test_a_bad_request_gets_one_error_and_the_next_is_carried_out(worker, requests, code):
    messages = talk(worker, *requests, {"type": "start"}, check=False)
    assert kinds(messages) == ["error", "ready"]
    assert messages[0]["code"] == code and len(messages[0]["message"]) < 400


def test_a_fifo_is_refused_and_holds_up_nothing(worker, tmp_path):
    os.mkfifo(tmp_path / "fifo")
    messages = talk(worker, {"type": "transcribe", "audio": str(tmp_path / "fifo")}, {"type": "start"})
    assert [messages[0].get("code"), messages[1]["type"]] == ["audio_error", "ready"]


def test_an_error_in_a_chunk_loses_nothing_else(worker, sound):
    given = chunks(sound[0][:48000])
    messages = talk(
        worker, *given[:9], CHUNK | {"pcm16": "*"}, *given[9:], {"type": "end_utterance"}, {"type": "flush"}
    )
    assert messages[-1]["items"][0]["text"] == live_text(worker, sound[0][:48000]) != ""


def test_a_model_that_cannot_be_loaded_is_an_error_and_start_tries_again():
    attempts = []

    def load(settings):
        attempts.append(settings)
        raise ModelError("There is no such model.")

    messages = talk(
        lambda: Worker(EngineSettings("tiny"), attempts.append, load), {"type": "start"}, CHUNK, {"type": "start"}
    )
    assert [message["code"] for message in messages] == ["model_error"] * 3 and len(attempts) == 2


def test_a_signal_ends_it_in_order(worker, sound):
    messages = []

    async def run():
        lines = asyncio.Queue()
        for request in ({"type": "start"}, {"type": "transcribe", "audio": sound[1]}, *chunks(sound[0])):
            lines.put_nowait(json.dumps(request).encode())
        bridge = Bridge(BridgeSettings("tiny"), lambda: worker, messages.append, messages.append)
        task = asyncio.create_task(bridge.run(lines))
        while not messages:
            await asyncio.sleep(0.001)
        task.cancel()
        await task

    asyncio.run(run())
    assert messages[-1] == {"type": "stopped", "reason": "signal"}
    assert {message.get("code", "cancelled") for message in messages} == {"cancelled"}
    assert worker.n_waiting == 0


def test_capabilities_need_no_model(monkeypatch, capsys):
    monkeypatch.setattr(Engine, "load", None)
    monkeypatch.setenv("HF_HUB_OFFLINE", "")  # the command sets it, and other tests must not inherit it
    assert livecap(["bridge", "Qwen/Qwen3-ASR-0.6B", "--local-files-only", "--print-capabilities"]) == 0
    said = json.loads(capsys.readouterr().out)
    MESSAGE.validate(said)
    assert (said["protocol"], said["model"]) == ("qwen3-asr-mlx-jsonl-v1", "Qwen/Qwen3-ASR-0.6B")
    assert set(said["messages"]) == {*Bridge.HANDLERS, "stop"} - {"hello"}


def test_the_schema_is_one(capsys):
    Draft202012Validator.check_schema(SCHEMA)
    assert livecap(["bridge", "--print-schema"]) == 0
    assert json.loads(capsys.readouterr().out) == SCHEMA
