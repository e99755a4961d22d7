"""Whatever comes over standard input, the bridge answers each line once, in order, and goes on."""

import asyncio
import base64
import json
import os
import threading
import time
from contextlib import suppress
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from livecap.engine import EngineSettings
from livecap.model.config import AudioConfig
from livecap.serve.bridge import bridge as bridge_module
from livecap.serve.bridge import recordings, streams
from livecap.serve.bridge.bridge import Bridge
from livecap.serve.bridge.capabilities import BridgeSettings
from livecap.serve.bridge.lines import Output, lines_of
from livecap.serve.bridge.streams import BridgeStream, StreamOptions
from livecap.serve.served_stream import Asked
from livecap.serve.worker import Busy, Worker
from livecap.stream.statistics import StepStatistics
from livecap.transcript import TranscriptUpdate, UtteranceSettled, Word
from tests.audio_in.waiting import eventually
from tests.serve.test_bridge import MESSAGE, SCHEMA


class SayingTranscriber:
    """Says a word for each block, and closes an utterance at each flush."""

    language, speaking, statistics, n_unsettled, ready = "English", False, StepStatistics(), 0, True

    def __init__(self):
        self.n_words = self.utterance = 0

    def share(self, n_streams):
        pass

    def accept(self, block):
        self.n_words += 1

    def step(self):
        yield TranscriptUpdate("", self.utterance, "word " * self.n_words, "partial", 0, 1, "English", False)

    def flush(self):
        text = ("word " * self.n_words).strip()
        yield TranscriptUpdate("", self.utterance, text, "", 0, 1, None, True, (Word("word", 0, 1, "step"),))
        self.utterance, self.n_words = self.utterance + 1, 0

    def close(self):
        pass


class SayingEngine:
    """An engine without a model."""

    def __init__(self, settings):
        self.settings, self.memory = settings, {}
        audio = AudioConfig(1, 1, 1, 1, 1, output_dim=8, downsample_hidden_size=1)
        self.loaded = SimpleNamespace(path="nowhere", config=SimpleNamespace(audio=audio))
        self.tokenizer = SimpleNamespace(encode=lambda text: list(range(len(text.split()))))

    def change(self, settings, on_notice):
        self.settings = settings

    def transcriber(self):
        return SayingTranscriber()

    def close(self):
        pass


@pytest.fixture(autouse=True)
def no_recordings(monkeypatch):
    """Recordings cannot be read: the fuzz names files at random."""
    monkeypatch.setattr(recordings, "transcribe_many", lambda *arguments: iter(()))


def answers(lines, send=None, faulty=0, **more):
    messages, faults = [], []
    lines = [line if isinstance(line, bytes) else json.dumps(line).encode() for line in lines]

    def make():
        return Worker(EngineSettings("tiny"), faults.append, SayingEngine)

    async def run():
        queue = asyncio.Queue()
        for line in [*lines, None]:
            queue.put_nowait(line)
        await Bridge(BridgeSettings("tiny"), make, send or messages.append, faults.append, **more).run(queue)

    asyncio.run(run())
    assert len(faults) == faulty
    return messages


NAMES = [name for each in SCHEMA["$defs"].values() for name in each.get("properties", {})]
ids = st.sampled_from(["a", "b", 3, None, "", [], -1, "\ud800"])
values = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8), ids,
    st.lists(st.text(max_size=3), max_size=2),
    st.sampled_from(["sequential", "batched", "en", "klingon", "/", "16000", 16000, 8000, 48000, 10**30]),
    st.binary(max_size=40).map(lambda data: base64.b64encode(data).decode()),
)  # fmt: skip
REQUESTS = [*Bridge.HANDLERS, "nonsense"]
requests = st.builds(
    lambda kind, stream, fields: {"type": kind, "stream_id": stream, **fields},
    st.sampled_from(REQUESTS),
    ids,
    st.dictionaries(st.sampled_from(sorted({*NAMES} - {"type", "fd", "id", "audio"})), values, max_size=4),
)
lines = st.one_of(
    requests.map(lambda request: json.dumps(request).encode()),
    st.binary(max_size=30).filter(lambda line: line.strip() and b"\n" not in line),
    st.tuples(requests, st.integers(0, 200)).map(lambda cut: json.dumps(cut[0]).encode()[: cut[1] + 1]),
)


@settings(max_examples=10_000 if os.environ.get("LIVECAP_PROVE") else 40, deadline=None)
@given(st.lists(lines, max_size=8))
def test_each_line_has_one_answer_that_fits_the_schema(given_lines):
    got = [message for message in answers(given_lines) if message["type"] not in ("update", "utterance")]
    assert len(got) == len(given_lines)
    for message in json.loads(json.dumps(got, allow_nan=False)):
        MESSAGE.validate(message)


def test_a_flood_is_answered_in_order_and_bounded():
    n, most = 3000, 0
    chunk = json.dumps({"type": "audio_chunk", "pcm16": base64.b64encode(bytes(1600)).decode()}).encode()
    got = []

    def send(record):
        nonlocal most
        got.append(record)
        most = max(most, int(record.get("unanswered", 0)))

    answers([chunk, b'{"type": "status"}'] * (n // 2), send)
    assert [record["type"] for record in got] == ["partial_result", "status"] * (n // 2)
    assert most <= bridge_module.MOST_UNANSWERED
    assert [record["chunks"] for record in got[::2]] == list(range(1, n // 2 + 1))


def test_any_rate_and_number_of_channels_is_heard():
    samples = base64.b64encode(bytes(4 * 4800)).decode()
    got = answers(
        [
            {"type": "start_stream", "sample_rate": 48000, "channels": 2},
            *[{"type": "audio_chunk", "pcm16": samples, "sample_rate": "48000"}] * 5,
            {"type": "end_utterance"},
            {"type": "vad_boundary", "pcm16": samples, "sample_rate": 24000},
        ]
    )
    assert 7000 < got[5]["samples_buffered"] < got[6]["samples"] == 8000, "the last milliseconds belong to it, too"
    assert got[7]["samples"] == 3200 and [each["utterance_id"] for each in got[6:]] == ["default-1", "default-2"]


def test_each_utterance_has_all_of_its_sound_however_short_and_at_whatever_rate():
    start = {"type": "start_stream", "sample_rate": 8000}
    chunks = [{"type": "audio_chunk", "pcm16": base64.b64encode(bytes(2 * n)).decode()} for n in (8000, 640, 640)]
    end = {"type": "end_utterance"}
    got = answers([start, *(each for chunk in chunks for each in (chunk, end)), chunks[1], {"type": "stop_stream"}])
    assert [each["samples"] for each in got if each["type"] == "utterance_queued"] == [16000, 1280, 1280]
    assert got[-1]["dropped_samples"] == 1280


class FailingTranscriber(SayingTranscriber):
    def accept(self, block):
        raise RuntimeError("a fault")


def test_a_stream_that_fails_takes_nothing_from_the_others(monkeypatch):
    made = iter([SayingTranscriber(), FailingTranscriber()])
    monkeypatch.setattr(SayingEngine, "transcriber", lambda engine: next(made))
    chunk = {"type": "audio_chunk", "pcm16": base64.b64encode(bytes(1600)).decode()}
    good, bad = chunk | {"stream_id": "good"}, chunk | {"stream_id": "bad"}
    got = answers([good, bad, {"type": "end_utterance", "stream_id": "good"}, {"type": "flush"}, bad, good], faulty=1)
    assert [message.get("code", message["type"]) for message in got] == [
        "partial_result", "stream_failed", "utterance_queued", "realtime_batch_final",
        "stream_failed", "partial_result",
    ]  # fmt: skip
    assert got[3]["items"][0]["text"] == "word"


def test_a_replaced_stream_says_nothing_once_the_new_one_has_begun(monkeypatch):
    begun, got = threading.Event(), []

    class Waits(SayingTranscriber):
        def accept(self, block):
            assert begun.wait(20)
            super().accept(block)

    def send(record):
        got.append(record)
        if record.get("id") == "new":
            begun.set()

    monkeypatch.setattr(SayingEngine, "transcriber", lambda engine: Waits())
    start = {"type": "start_stream", "stream_id": "a", "events": True}
    chunk = {"type": "audio_chunk", "stream_id": "a", "pcm16": base64.b64encode(bytes(1600)).decode()}
    answers([start | {"id": "old"}, chunk | {"id": "sound"}, start | {"id": "new"}], send)
    later = got[[record.get("id") for record in got].index("new") + 1 :]
    assert "sound" in [record.get("id") for record in later]
    assert not any("word" in record["stable"] for record in later if record["type"] == "update")


def test_a_descriptor_that_a_stopped_stream_still_reads_is_not_read_by_another():
    reading, writing = os.pipe()
    os.set_inheritable(reading, True)
    start = {"type": "start_stream", "fd": reading}
    stop = {"type": "stop_stream", "stream_id": "a"}
    got = answers([start | {"stream_id": "a"}, stop, start | {"stream_id": "b"}])
    told = [record.get("code", record["type"]) for record in got if record["type"] not in ("update", "utterance")]
    assert told == ["stream_ready", "stream_stopped", "invalid_descriptor"]

    def is_closed():
        try:
            os.fstat(reading)
        except OSError:
            return True
        return False

    eventually(is_closed)
    os.close(writing)


def test_requests_are_read_while_a_descriptor_has_more_sound_than_is_heard(monkeypatch):
    gate, faults = threading.Event(), []

    class Waits(SayingTranscriber):
        def accept(self, block):
            assert gate.wait(60)

    async def run():
        lines, told = asyncio.Queue(), asyncio.Queue()

        async def ask():
            lines.put_nowait(b'{"type": "status"}')
            async with asyncio.timeout(20):
                while (record := await told.get())["type"] != "status":
                    pass
            return record

        worker = Worker(EngineSettings("tiny"), faults.append, SayingEngine)
        bridge = Bridge(BridgeSettings("tiny"), lambda: worker, told.put_nowait, faults.append)
        lines.put_nowait(json.dumps({"type": "start_stream", "fd": reading, "events": False}).encode())
        task = asyncio.create_task(bridge.run(lines))
        while (await ask())["streams"][0]["waiting_seconds"] <= 20:
            pass
        await ask()
        gate.set()
        lines.put_nowait(b'{"type": "stop"}')
        await task

    monkeypatch.setattr(SayingEngine, "transcriber", lambda engine: Waits())
    reading, writing = os.pipe()
    os.set_inheritable(reading, True)
    with open(writing, "wb", 0) as pipe:
        writer = threading.Thread(target=write_all, args=[pipe, bytes(1 << 20)])
        writer.start()
        try:
            asyncio.run(run())
        finally:
            gate.set()
            writer.join()
    assert faults == []


def write_all(pipe, data):
    with suppress(BrokenPipeError):
        while data:
            data = data[pipe.write(data) :]


def test_a_signal_while_the_model_is_loaded_is_an_answer():
    loading, loaded, messages = threading.Event(), threading.Event(), []

    def load(settings):
        loading.set()
        assert loaded.wait(20)
        return SayingEngine(settings)

    def make():
        return Worker(EngineSettings("tiny"), messages.append, load)

    async def run():
        lines = asyncio.Queue()
        lines.put_nowait(b'{"type": "start", "id": 1}')
        bridge = Bridge(BridgeSettings("tiny"), make, messages.append, messages.append)
        task = asyncio.create_task(bridge.run(lines))
        assert await asyncio.to_thread(loading.wait, 20)
        task.cancel()
        loaded.set()
        await task

    asyncio.run(run())
    assert [(record["type"], record.get("code"), record.get("id")) for record in messages] == [
        ("error", "cancelled", 1), ("stopped", None, None),
    ]  # fmt: skip


def stopped_by_a_signal(lines, told):
    """The messages of a bridge that a signal stops once as many as `told` were sent."""
    messages, faults, enough = [], [], threading.Event()

    def send(record):
        messages.append((record["type"], record.get("code")))
        if len(messages) == told:
            enough.set()

    async def run():
        queue = asyncio.Queue()
        for line in lines:
            queue.put_nowait(line and json.dumps(line).encode())
        worker = Worker(EngineSettings("tiny"), faults.append, SayingEngine)
        bridge = Bridge(BridgeSettings("tiny"), lambda: worker, send, faults.append)
        task = asyncio.create_task(bridge.run(queue))
        assert await asyncio.to_thread(enough.wait, 20)
        task.cancel()
        await task

    asyncio.run(run())
    assert faults == []
    return messages


def test_a_signal_is_no_failure_of_the_streams_that_are_open():
    reading, writing = os.pipe()
    os.set_inheritable(reading, True)
    chunk = {"type": "audio_chunk", "pcm16": base64.b64encode(bytes(1600)).decode()}
    starts = {"type": "start_stream", "events": True}, {"type": "start_stream", "stream_id": "b", "fd": reading}
    got = stopped_by_a_signal([starts[0], chunk, starts[1], None], told=4)
    assert sorted(got[:4]) == [("partial_result", None), *[("stream_ready", None)] * 2, ("update", None)]
    # The end of the input may end the first stream before the signal comes: then its last text is told, too.
    assert [record for record in got if record[0] == "error" or record[1] is not None] == []
    assert got[-1] == ("stopped", None)
    os.close(writing)


def test_what_a_signal_cannot_wait_for_is_cancelled_before_the_end(monkeypatch):
    goes_on = threading.Event()

    class Waits(SayingTranscriber):
        def accept(self, block):
            assert goes_on.wait(20)

    def close(worker, seconds=None):
        goes_on.set()
        Worker.close_for_good(worker)

    monkeypatch.setattr(bridge_module, "END_SECONDS", 0.0)
    monkeypatch.setattr(SayingEngine, "transcriber", lambda engine: Waits())
    monkeypatch.setattr(Worker, "close_for_good", Worker.close, raising=False)
    monkeypatch.setattr(Worker, "close", close)
    chunk = {"type": "audio_chunk", "pcm16": base64.b64encode(bytes(1600)).decode()}
    kinds = "start_stream", "end_utterance", "stop_stream", "flush", "hello"
    start, end, stop, flush, hello = ({"type": kind} for kind in kinds)
    got = stopped_by_a_signal([start, chunk, end, chunk, end, stop, flush, hello], told=1)
    cancelled, queued = ("error", "cancelled"), ("utterance_queued", None)
    rest = [cancelled, queued, cancelled, queued, cancelled, cancelled, ("capabilities", None), ("stopped", None)]
    assert got == [("stream_ready", None), *rest]


def test_more_streams_than_there_is_room_for_are_refused():
    got = answers([{"type": "start_stream", "stream_id": n} for n in range(70)])
    assert [record.get("code", "ready") for record in got] == ["ready"] * 64 + ["busy"] * 6


@pytest.mark.parametrize(("sends_events", "first"), [(True, 2), (False, 0)])
def test_a_stream_with_events_keeps_a_bounded_number_of_utterances(monkeypatch, sends_events, first):
    monkeypatch.setattr(streams, "MOST_KEPT", 3)
    served = SimpleNamespace(failure=None, transcriber=None, heard_samples=0, asked=Asked())
    worker = SimpleNamespace(stream=lambda *arguments: served, memory={})
    stream = BridgeStream("a", StreamOptions(sends_events=sends_events), worker, Asked(), lambda record: None, print)
    for n in range(5):
        stream._update(
            TranscriptUpdate("", n, f"live{n}", "", n, n + 1, None, True, (Word(f"live{n}", n, n + 1, "step"),))
        )
        if n >= 3:
            stream._settled(UtteranceSettled("", n - 3, f"settled{n - 3}", n - 3, n - 2, None))
            stream._settled(UtteranceSettled("", n, f"settled{n}", n, n + 1, None))
    texts = ["settled0", "settled1", "live2", "settled3", "settled4"][first:]
    assert stream._take_said()["text"] == " ".join(texts)
    assert stream._take_said()["text"] == ""


CHUNK = {"type": "audio_chunk", "stream_id": "a", "pcm16": base64.b64encode(bytes(3200)).decode()}
END = {"type": "end_utterance", "stream_id": "a"}


def test_a_stream_whose_end_is_refused_goes_on():
    *_, refused, chunk, queued, final = answers(
        [{"type": "start_stream", "stream_id": "a"}, CHUNK, {"type": "stop_stream", "stream_id": "a", "drop": "yes"},
         CHUNK, END, {"type": "flush"}]
    )  # fmt: skip
    assert (refused["code"], refused["field"]) == ("invalid_field", "drop")
    assert chunk["samples_buffered"] == 3200 and queued["samples"] == 3200
    assert final["items"][0]["text"] == "word word word word"


@pytest.mark.parametrize(
    "request_",
    [
        CHUNK | {"sample_rate": 8000},
        CHUNK | {"sample_rate": "fast"},
        CHUNK | {"pcm16": "?"},
        CHUNK | {"pcm16": "AAAA"},
        CHUNK | {"language": "klingon"},
        END,
        END | {"decoder_mode": "quick"},
        END | {"pcm16": ""},
        END | {"audio": "no such file"},
    ],
)
def test_a_refused_request_opens_no_stream(request_):
    refused, status = answers([request_, {"type": "status"}])
    assert refused["type"] == "error" and status["streams"] == []


@pytest.mark.parametrize("kinds", [["start_stream"], ["stop_stream", "start_stream"]])
def test_the_place_of_a_stream_that_still_hears_its_sound_can_be_taken(monkeypatch, kinds):
    is_full, start = threading.Event(), Worker.stream

    class Waits(SayingTranscriber):
        def accept(self, block):
            assert is_full.wait(20)
            super().accept(block)

    def stream(worker, *arguments):
        try:
            return start(worker, *arguments)
        except Busy:
            is_full.set()  # it ends while the new one waits
            raise

    monkeypatch.setattr(SayingEngine, "transcriber", lambda engine: Waits())
    monkeypatch.setattr(Worker, "stream", stream)
    chunk = {"type": "audio_chunk", "stream_id": 0, "pcm16": base64.b64encode(bytes(1600)).decode()}
    starts = [{"type": "start_stream", "stream_id": n} for n in range(64)]
    got = answers([*starts, chunk, *({"type": kind, "stream_id": 0} for kind in kinds)])
    told = [record.get("code", record["type"]) for record in got]
    rest = ["partial_result", *({"start_stream": "stream_ready", "stop_stream": "stream_stopped"}[k] for k in kinds)]
    assert is_full.is_set() and told == ["stream_ready"] * 64 + rest


def test_no_more_is_read_while_the_caller_reads_nothing(monkeypatch):
    monkeypatch.setattr(bridge_module, "LOOK_SECONDS", 0.0)
    waits = iter([bridge_module.MOST_OUTPUT_BYTES] * 3)
    got = answers([b'{"type": "hello"}'] * 2, waiting_bytes=lambda: next(waits, 0))
    assert len(got) == 2 and next(waits, None) is None


def read(*pieces, most_bytes=100):
    given_pieces = iter([*pieces, b""])
    return [each if isinstance(each, bytes) else each.code for each in lines_of(lambda: next(given_pieces), most_bytes)]


def test_lines_are_cut_wherever_the_pieces_are():
    assert read(b"a\nb", b"", b"never read") == [b"a", b"b"]
    assert read(b"a", b"b\r\n\n", b"  \n", b"c\nd") == [b"ab\r", b"c", b"d"]


@settings(max_examples=40, deadline=None)
@given(st.binary(max_size=60), st.lists(st.integers(1, 9), min_size=1))
def test_the_lines_do_not_depend_on_the_pieces(data, lengths):
    pieces, rest = [], data
    while rest:
        pieces.append(rest[: lengths[len(pieces) % len(lengths)]])
        rest = rest[len(pieces[-1]) :]
    assert read(*pieces, most_bytes=9) == read(*([data] if data else []), most_bytes=9)


def test_a_line_that_is_too_long_is_one_error_and_is_not_kept():
    assert read(b"x" * 90, b"x" * 90, b"x" * 90 + b"\nok\n") == ["line_too_long", b"ok"]
    assert read(b"x" * 101) == ["line_too_long"]
    assert read(b"x" * 101 + b"\nok") == ["line_too_long", b"ok"]


def test_the_output_replaces_updates_that_nobody_has_read_and_nothing_else():
    reading, writing = os.pipe()
    ended = []
    output = Output(open(writing, "w", encoding="utf-8"), ended.append)
    output.send({"type": "hold", "text": "x" * (1 << 17)})  # more than the pipe takes
    eventually(lambda: not output.waiting_bytes)
    for n in range(3):
        output.send({"type": "update", "stream_id": "a", "utterance": 0, "n": n})
        output.send({"type": "partial_result", "n": n})
    output.send({"type": "update", "stream_id": "a", "utterance": 1})
    data = b""
    while data.count(b"\n") < 6:
        data += os.read(reading, 1 << 16)
    output.close(5)
    said = [json.loads(line) for line in data.splitlines()][1:]
    assert [(each["type"], each.get("n")) for each in said] == [
        ("update", 2), ("partial_result", 0), ("partial_result", 1), ("partial_result", 2), ("update", None),
    ]  # fmt: skip
    assert ended == []


def test_an_update_of_a_new_stream_does_not_take_the_place_of_one_of_the_old():
    reading, writing = os.pipe()
    output = Output(open(writing, "w", encoding="utf-8"), lambda why: None)
    output.send({"type": "hold", "text": "x" * (1 << 17)})  # more than the pipe takes
    eventually(lambda: not output.waiting_bytes)
    for n in range(2):
        output.send({"type": "stream_ready", "stream_id": "a", "n": n})
        output.send({"type": "update", "stream_id": "a", "utterance": 0, "n": n})
    output.send({"type": "stopped"})
    data = b""
    while b"stopped" not in data:
        data += os.read(reading, 1 << 16)
    output.close(5)
    os.close(reading)
    said = [json.loads(line) for line in data.splitlines()][1:-1]
    assert [(each["type"], each["n"]) for each in said] == [
        ("stream_ready", 0), ("update", 0), ("stream_ready", 1), ("update", 1),
    ]  # fmt: skip


def test_a_reader_that_leaves_is_noticed():
    reading, writing = os.pipe()
    ended, gone = [], threading.Event()
    output = Output(open(writing, "w", encoding="utf-8"), lambda why: (ended.append(why), gone.set()))
    os.close(reading)
    output.send({"type": "status"})
    assert gone.wait(20) and ended == [None]
    output.send({"type": "status"})
    began = time.monotonic()
    output.close(20)
    assert time.monotonic() - began < 10 and output.waiting_bytes == 0
