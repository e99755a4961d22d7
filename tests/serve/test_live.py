"""What all live interfaces share: encodings, requests in the order of the sound, bounds on what waits."""

import queue
from types import SimpleNamespace

import numpy as np
import pytest
from starlette.websockets import WebSocketDisconnect, WebSocketState

from livecap.engine import EngineSettings
from livecap.serve.live import Ear, LiveSound, StableText, send
from livecap.serve.requests import Refused
from livecap.serve.served_stream import MOST_WAITING_ITEMS, MOST_WAITING_SECONDS, REQUEST_SAMPLES, Asked
from livecap.serve.worker import Worker
from livecap.transcript import SAMPLE_RATE, TranscriptUpdate
from tests.serve.scripted import WORD, ScriptedEngine, loud, pcm, scripted_worker

G711_SAMPLES = {
    "mulaw": {0xFF: 0, 0x7F: 0, 0x00: -32124, 0x80: 32124, 0xFE: 8, 0x7E: -8, 0xEF: 132, 0x6F: -132, 0xAA: 5372},
    "alaw": {0xD5: 8, 0x55: -8, 0xAA: 32256, 0x2A: -32256, 0xD4: 24, 0xC5: 264, 0xF5: 528, 0x80: 5504},
}
"""Codes and their samples, from the tables of ITU-T G.711 at 16 bits."""


@pytest.mark.parametrize("encoding", G711_SAMPLES)
def test_g711_is_decoded_by_the_tables_of_the_standard(encoding):
    codes, wanted = zip(*G711_SAMPLES[encoding].items(), strict=True)
    heard = Ear(encoding, SAMPLE_RATE).hear(bytes(codes)) * 32768
    assert heard.tolist() == list(wanted)
    everything = Ear(encoding, SAMPLE_RATE).hear(bytes(range(256)))
    assert sorted(everything) == sorted(-everything), "each sample has its negative"


def test_how_sound_is_cut_into_messages_changes_nothing():
    data = np.random.default_rng(1).integers(-9000, 9000, 4801, dtype="<i2").tobytes()
    whole, pieces = Ear("linear16", 24_000, 1), Ear("linear16", 24_000, 1)
    heard = [pieces.hear(data[at : at + 333]) for at in range(0, len(data), 333)]
    assert np.array_equal(np.concatenate([*heard, pieces.flush()]), np.concatenate([whole.hear(data), whole.flush()]))


def test_an_unknown_encoding_is_refused():
    with pytest.raises(Refused, match="encoding must be one of linear16, linear32, float32, mulaw, alaw"):
        Ear("opus", SAMPLE_RATE)


def test_stable_text_grows_and_has_spaces_only_where_its_script_has_them():
    def update(utterance, stable, final=False):
        return TranscriptUpdate("", utterance, stable, "", 0, 1, None, final)

    text = StableText()
    updates = [update(0, "Good"), update(0, "Good morning.", True), update(1, ""), update(1, "你好", True)]
    updates += [update(2, "世界", True), update(3, "yes", True)]
    added = [text.added(each) for each in updates]
    assert added == ["Good", " morning.", "", "你好", "世界", "yes"] and text.text == "".join(added)


@pytest.fixture
def worker():
    said, engines = [], []
    worker = scripted_worker(said, engines)
    worker.scripts = engines
    yield worker
    worker.close()
    assert said == []


def told_by(told):
    """What a stream told until its end."""
    items = []
    while (item := told.get(timeout=20)) is not None:
        items.append(item)
    return items


def test_requests_are_carried_out_where_they_lie_in_the_sound(worker):
    told = queue.Queue()
    stream = worker.stream(Asked(), told.put)
    stream.feed(loud(2))
    stream.end_utterance(lambda: told.put("ended"))
    stream.feed(loud(1))
    stream.change(Asked(language="German"), lambda: told.put("changed"))
    stream.feed(loud(1))
    stream.finish()
    items = told_by(told)
    finals = [item if isinstance(item, str) else item.stable for item in items if isinstance(item, str) or item.final]
    assert finals == ["w1 w2", "ended", "w3", "changed", "w4"]
    assert [settings.language for settings in worker.scripts[0].asked] == [None, "German"]


def test_streams_that_speak_share_the_time_and_silent_ones_take_none(worker):
    speak, other, silent = (worker.stream(Asked(), lambda update: None) for _ in range(3))
    silent.feed(loud(3, word=0)).result(20)
    assert silent.transcriber.n_sharing == 1
    for stream in (speak, other, speak):
        stream.feed(loud(1)).result(20)
    assert speak.transcriber.n_sharing == 2 and not silent.is_speaking
    silent.feed(loud(1, word=0)).result(20)
    for stream in (speak, other, silent):
        stream.finish(drop=True)


def test_cleared_sound_is_forgotten_and_the_clock_goes_on(worker):
    told = queue.Queue()
    stream = worker.stream(Asked(), told.put)
    stream.feed(loud(3))
    while not (isinstance(item := told.get(timeout=20), TranscriptUpdate) and item.end_sample == 3 * WORD):
        pass
    stream.clear(lambda: told.put("cleared"))
    stream.feed(loud(1))
    stream.finish()
    cleared, *items = told_by(told)
    assert cleared == "cleared"
    finals = [item for item in items if item.final]
    assert [(item.utterance, item.stable, item.start_sample) for item in finals] == [(1, "w4", 3 * WORD)]


@pytest.fixture
def engine():
    return ScriptedEngine(EngineSettings("tiny"))


@pytest.fixture
def asleep():
    """A stream whose worker does nothing by itself, and what it told."""
    worker, told = Worker(EngineSettings("tiny"), print, ScriptedEngine), []
    stream = worker.stream(Asked(), told.append)
    yield stream, told
    worker.close()


def test_clearing_keeps_what_was_ended_before(asleep, engine):
    stream, told = asleep
    stream.feed(loud(1))
    stream.end_utterance()
    stream.feed(loud(50))
    stream.clear()
    assert stream.waiting_seconds == pytest.approx(0.1)
    stream.feed(loud(1))
    stream.finish()
    while stream.serve(engine):
        pass
    assert [item.stable for item in told if item.final] == ["w1", "w52"]


@pytest.mark.parametrize("request_name", ["end_utterance", "clear"])
def test_requests_without_sound_fill_a_stream_and_take_turns_with_others(asleep, engine, request_name):
    stream, _ = asleep
    done = []
    for _ in range(MOST_WAITING_ITEMS + 1):
        assert not stream.is_full
        getattr(stream, request_name)(lambda: done.append(1))
    assert stream.is_full
    assert stream.serve(engine) and len(done) == SAMPLE_RATE / REQUEST_SAMPLES


def test_sound_fills_a_stream_until_it_is_decoded(asleep, engine):
    stream, _ = asleep
    while not stream.is_full:
        stream.feed(loud(10))
    assert stream.waiting_seconds == MOST_WAITING_SECONDS + 1
    assert stream.serve(engine) and not stream.is_full


@pytest.mark.parametrize("path", ["/v1/listen?encoding=linear16", "/v1/realtime", "/v1/events"])
def test_a_silent_connection_takes_no_stream_from_others(scripted, path):
    with scripted.live(path), scripted.live("/v1/events") as other:
        other.send_text('{"type": "finish"}')
        while other.receive_json()["type"] != "session_ended":
            assert scripted.worker.n_streams == 0


@pytest.mark.parametrize(
    ("path", "offered", "chosen"),
    [
        ("/v1/realtime", ["realtime", "openai-insecure-api-key.none"], "realtime"),
        ("/v1/listen?encoding=linear16", ["token", "none", "x-deepgram-session-id", "1"], "token"),
        ("/v1/listen?encoding=linear16", ["bearer", "none"], "bearer"),
        ("/v1/events", ["another"], None),
        ("/v1/events", [], None),
    ],
)
def test_a_protocol_that_clients_in_browsers_offer_is_chosen(scripted, path, offered, chosen):
    with scripted.websocket_connect(f"ws://localhost{path}", subprotocols=offered) as socket:
        assert socket.accepted_subprotocol == chosen


def test_where_there_is_no_room_for_a_stream_the_client_is_told_to_try_later(scripted, monkeypatch):
    monkeypatch.setattr("livecap.serve.worker.MOST_STREAMS", 0)
    with scripted.live("/v1/listen?encoding=linear16") as socket, pytest.raises(WebSocketDisconnect) as closed:
        socket.send_bytes(pcm(loud(1)))
        socket.receive_json()
    assert (closed.value.code, closed.value.reason) == (1013, "0 streams are open. Try again later.")


def test_a_fault_of_the_server_is_reported_and_not_told_to_the_client(scripted, monkeypatch):
    def fail(*arguments):
        raise ZeroDivisionError("in /a/library")

    monkeypatch.setattr(Ear, "hear", fail)
    with scripted.live("/v1/listen?encoding=linear16") as socket, pytest.raises(WebSocketDisconnect) as closed:
        socket.send_bytes(pcm(loud(1)))
        socket.receive_json()
    assert (closed.value.code, closed.value.reason) == (1011, "The server failed with this connection.")
    assert scripted.said == ["A live client could not be served: ZeroDivisionError: in /a/library."]
    scripted.said.clear()


def test_a_long_message_is_passed_on_in_pieces_once_there_is_room(scripted):
    scripted.engine.gate.clear()
    with scripted.live("/v1/events") as socket:
        socket.send_bytes(pcm(loud(600)))
        socket.send_text('{"type": "finish"}')
        while (event := socket.receive_json())["type"] != "notice":
            pass
        assert scripted.worker.streams[0].waiting_seconds < MOST_WAITING_SECONDS + 3, "not all of the 60 s"
        scripted.engine.gate.set()
        while (event := socket.receive_json())["type"] != "session_ended":
            pass
    assert event["n_samples"] == 60 * SAMPLE_RATE


async def test_sending_to_a_client_that_left_while_something_was_sent_is_no_fault():
    async def send_text(text):
        raise RuntimeError('Cannot call "send" once a close message has been sent.')

    with pytest.raises(WebSocketDisconnect):
        await send(SimpleNamespace(send_text=send_text, application_state=WebSocketState.DISCONNECTED), "text")
    with pytest.raises(RuntimeError):
        await send(SimpleNamespace(send_text=send_text, application_state=WebSocketState.CONNECTED), "text")


async def test_a_client_that_does_not_read_its_answers_is_not_read(worker):
    sound = LiveSound(worker)
    while not sound.is_full:
        sound.end_utterance()
    assert sound.told.qsize() <= MOST_WAITING_ITEMS + 2
    sound.drop()
