"""OpenAI's Realtime interface for transcription, spoken by the official client, and vLLM's dialect of it."""

import base64
import json
import os

import numpy as np
import openai
import pytest
import soundfile
import soxr
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.websockets import WebSocketDisconnect

from livecap.serve.realtime_config import DELAYS
from tests.serve.scripted import WORD, loud, pcm
from tests.serve.test_openai_client import RECORDING

RATE = 24_000
SILENCE = loud(1, RATE, word=0)
INPUT = "session.audio.input"


def append(sound):
    data = sound if isinstance(sound, bytes) else pcm(sound)
    return {"type": "input_audio_buffer.append", "audio": base64.b64encode(data).decode()}


def update(**given):
    return {"type": "session.update", "session": {"type": "transcription", "audio": {"input": given}}}


COMMIT, CLEAR = {"type": "input_audio_buffer.commit"}, {"type": "input_audio_buffer.clear"}
BY_CLIENT = update(turn_detection=None)


def heard(client, *messages, until):
    """What the server says to messages, up to `until` events of the type that it names."""
    said = []
    with client.live("/v1/realtime?intent=transcription") as socket:
        for message in messages:
            socket.send_text(message if isinstance(message, str) else json.dumps(message))
        kind, n = until
        while sum(event["type"].endswith(kind) for event in said) < n:
            said.append(socket.receive_json())
    return said


def texts(said, kind):
    return [event.get("delta", event.get("transcript")) for event in said if event["type"].endswith(kind)]


def test_half_a_surrogate_pair_among_the_names_to_expect_hurts_no_text(scripted):
    given = update(turn_detection=None, transcription={"prompt": "Priya \ud800"})
    said = heard(scripted, given, append(loud(2, RATE)), append(SILENCE), COMMIT, until=("completed", 1))
    assert texts(said, "completed") == ["w1 w2"]
    assert scripted.engine.asked[-1].context == "Priya ?"


def test_with_server_vad_each_utterance_is_an_item(scripted):
    sound = np.concatenate([loud(2, RATE), SILENCE, SILENCE, loud(1, RATE), SILENCE, SILENCE])
    said = heard(scripted, append(sound), append(SILENCE), until=("completed", 2))
    assert [event["type"].rpartition(".")[2] for event in said] == [
        "created",
        *("speech_started", "delta", "delta", "speech_stopped", "committed", "added", "done", "completed"),
        *("speech_started", "delta", "speech_stopped", "committed", "added", "done", "completed"),
    ]
    first, second = [event for event in said if event["type"].endswith("completed")]
    assert first["transcript"] == "".join(texts(said, "delta")[:2]) == "w1 w2" and second["transcript"] == "w5"
    assert first["usage"]["type"] == "duration" and first["usage"]["seconds"] == pytest.approx(0.3, abs=0.11)
    assert first["languages"] == [{"code": "en"}]
    committed = [event for event in said if event["type"].endswith("committed")]
    assert [event["previous_item_id"] for event in committed] == [None, first["item_id"]]
    assert [event["item_id"] for event in committed] == [first["item_id"], second["item_id"]]
    assert len({event["event_id"] for event in said}) == len(said)


def test_a_commit_in_which_nobody_spoke_has_the_length_of_its_sound(scripted):
    said = heard(scripted, append(SILENCE), append(SILENCE), COMMIT, until=("completed", 1))
    [completed] = [event for event in said if event["type"].endswith("completed")]
    assert completed["transcript"] == "" and completed["usage"]["seconds"] == pytest.approx(2 * len(SILENCE) / RATE)


def test_without_turn_detection_an_item_is_what_the_client_commits(scripted):
    sound = np.concatenate([loud(2, RATE), SILENCE, SILENCE, loud(2, RATE)])
    said = heard(scripted, BY_CLIENT, append(sound), COMMIT, append(loud(1, RATE)), COMMIT, until=("completed", 2))
    assert not [event for event in said if "speech_" in event["type"]]
    first, second = [event for event in said if event["type"].endswith("completed")]
    assert first["transcript"] == "w1 w2 w5 w6" and first["usage"]["seconds"] == pytest.approx(0.6)
    assert second["transcript"] == "w7"
    for item in (first, second):
        deltas = [
            event["delta"] for event in said if event["type"].endswith("delta") and event["item_id"] == item["item_id"]
        ]
        assert "".join(deltas) == item["transcript"]
    assert [e["item_id"] for e in said if e["type"].endswith("committed")] == [first["item_id"], second["item_id"]]


def test_a_sample_may_lie_across_a_commit(scripted):
    data = pcm(loud(4, RATE))
    middle = len(data) // 2 + 1
    said = heard(
        scripted, BY_CLIENT, append(data[:middle]), COMMIT, append(data[middle:]), COMMIT, until=("completed", 2)
    )
    assert texts(said, "completed") == ["w1 w2", "w3 w4"]


def test_what_is_cleared_is_in_no_item(scripted):
    said = heard(
        scripted, BY_CLIENT, append(loud(3, RATE)), CLEAR, append(loud(2, RATE)), COMMIT, until=("completed", 1)
    )
    assert texts(said, "completed") == ["w4 w5"]
    assert [event["type"] for event in said].count("input_audio_buffer.cleared") == 1


def test_a_commit_with_server_vad_ends_the_utterance_or_makes_an_empty_item(scripted):
    said = heard(scripted, append(loud(1, RATE)), COMMIT, append(SILENCE), COMMIT, until=("completed", 2))
    assert texts(said, "completed") == ["w1", ""]


def test_sound_after_an_utterance_can_be_committed_however_late_its_text_comes(scripted):
    said = []
    scripted.engine.gate.clear()  # the end of the utterance is known when the sound after it has come
    with scripted.live("/v1/realtime") as socket:
        socket.send_json(append(np.concatenate([loud(2, RATE), SILENCE, SILENCE])))
        socket.send_json(append(loud(1, RATE)))
        socket.send_json({"type": "ping"})  # is answered once the sound is taken
        while not said or said[-1]["type"] != "error":
            said.append(socket.receive_json())
        scripted.engine.gate.set()
        while not said[-1]["type"].endswith("completed"):
            said.append(socket.receive_json())
        socket.send_json(COMMIT)
        while len(texts(said, "completed")) < 2:
            said.append(socket.receive_json())
            assert said[-1]["type"] != "error"
    assert texts(said, "completed") == ["w1 w2", "w5"]


def test_the_way_of_taking_turns_can_change_while_somebody_speaks(scripted):
    vad = update(turn_detection={"type": "server_vad"})
    messages = [BY_CLIENT, append(loud(2, RATE)), vad, append(loud(1, RATE)), append(SILENCE), append(SILENCE)]
    said = heard(scripted, *messages, BY_CLIENT, append(loud(1, RATE)), COMMIT, until=("completed", 3))
    first, second, third = texts(said, "completed")
    assert first == "w1 w2" and second == "w3" and third.startswith("w")


def test_each_item_is_committed_once_however_late_its_text_comes(scripted):
    vad = update(turn_detection={"type": "server_vad"})
    sound = append(loud(2, RATE))
    said = []
    scripted.engine.gate.clear()  # nothing is heard before all messages are taken
    with scripted.live("/v1/realtime") as socket:
        for message in (BY_CLIENT, sound, vad, sound, CLEAR, sound, BY_CLIENT, sound, COMMIT):
            socket.send_json(message)
        while not said or not said[-1]["type"].endswith("committed"):
            said.append(socket.receive_json())
        scripted.engine.gate.set()
        while len(texts(said, "completed")) < 3:
            said.append(socket.receive_json())
    items = [event["item_id"] for event in said if event["type"].endswith("completed")]
    assert texts(said, "completed") == ["w1 w2", "w5 w6", "w7 w8"]
    assert sorted(event["item_id"] for event in said if event["type"].endswith("committed")) == sorted(items)
    seconds = [event["usage"]["seconds"] for event in said if event["type"].endswith("completed")]
    assert seconds == pytest.approx([0.2, 0.2, 0.2])


@pytest.mark.parametrize("kind", ["audio/pcmu", "audio/pcma"])
def test_g711_is_heard(scripted, kind):
    loudest = {"audio/pcmu": b"\x80", "audio/pcma": b"\xaa"}[kind]
    said = heard(
        scripted,
        update(format={"type": kind}, turn_detection=None),
        append(loudest * 2400),
        COMMIT,
        until=("completed", 1),
    )
    assert texts(said, "completed") == ["w1 w2 w3"]


def test_an_update_changes_what_it_names_and_says_what_holds(scripted):
    first = update(transcription={"model": "x", "language": "de", "keywords": ["Priya"], "prompt": "Notes."})
    second = update(transcription={"delay": "high"}, turn_detection={"type": "server_vad", "silence_duration_ms": 900})
    said = heard(scripted, first, second, append(loud(1, RATE)), COMMIT, until=("completed", 1))
    effective = said[2]["session"]["audio"]["input"]
    assert effective["transcription"] == {
        "model": "tiny", "language": "de", "keywords": ["Priya"], "prompt": "Notes.", "delay": "high",
    }  # fmt: skip
    assert effective["turn_detection"]["silence_duration_ms"] == 900
    assert effective["format"] == {"type": "audio/pcm", "rate": 24000}
    [asked] = scripted.engine.asked
    assert (asked.language, asked.context) == ("German", "Notes., Priya")
    assert asked.stream.detector.end_seconds == 0.9 and asked.stream.commit.agree_seconds == DELAYS["high"][0]


def test_an_update_while_somebody_speaks_holds_for_what_follows(scripted):
    german = update(transcription={"language": "de"})
    messages = [BY_CLIENT, append(loud(1, RATE)), german, append(loud(1, RATE)), COMMIT]
    said = heard(scripted, *messages, until=("completed", 1))
    assert [settings.language for settings in scripted.engine.asked] == [None, "German"]
    assert texts(said, "completed")[0].startswith("w1") and said[-1]["languages"] == [{"code": "de"}]


def test_an_update_that_changes_nothing_ends_no_utterance(scripted):
    said = heard(scripted, append(loud(1, RATE)), update(), append(loud(1, RATE)), COMMIT, until=("completed", 1))
    assert texts(said, "completed") == ["w1 w2"] and len(scripted.engine.asked) == 1


def test_a_longer_delay_waits_for_more_sound():
    assert sorted(DELAYS.values()) == list(DELAYS.values()) and [*DELAYS] == [
        "minimal",
        "low",
        "medium",
        "high",
        "xhigh",
    ]


@pytest.mark.parametrize(
    ("message", "code", "param"),
    [
        ("not json", "invalid_json", None),
        ("[1]", "invalid_json", None),
        ({"type": "response.create"}, "unknown_event", "type"),
        ({}, "unknown_event", "type"),
        (COMMIT, "input_audio_buffer_commit_empty", None),
        (append(b"") | {"audio": "*"}, "invalid_audio", "audio"),
        ({"type": "input_audio_buffer.append"}, "invalid_audio", "audio"),
        ({"type": "session.update"}, "missing_required_parameter", "session"),
        ({"type": "session.update", "session": {"type": "realtime"}}, "unsupported", "session.type"),
        (
            {"type": "session.update", "session": {"include": ["item.input_audio_transcription.logprobs"]}},
            "unsupported",
            "session.include",
        ),
        (update(format={"type": "audio/pcm", "rate": 16000}), "invalid_value", f"{INPUT}.format.rate"),
        (update(format={"type": ["audio/pcm"]}), "invalid_value", f"{INPUT}.format.type"),
        (update(format="pcm16"), "invalid_type", f"{INPUT}.format"),
        (update(turn_detection={"type": "semantic_vad"}), "unsupported", f"{INPUT}.turn_detection.type"),
        (
            update(turn_detection={"type": "server_vad", "silence_duration_ms": 5}),
            "invalid_value",
            f"{INPUT}.turn_detection.silence_duration_ms",
        ),
        (update(transcription=None), "unsupported", f"{INPUT}.transcription"),
        (update(transcription={"delay": "none"}), "invalid_value", f"{INPUT}.transcription.delay"),
        (update(transcription={"keywords": "Priya"}), "invalid_value", f"{INPUT}.transcription.keywords"),
        (update(transcription={"language": "klingon"}), None, "language"),
    ],
)
def test_a_bad_message_is_answered_and_changes_nothing(scripted, message, code, param):
    if isinstance(message, dict):
        message = message | {"event_id": "mine"}
    said = heard(scripted, message, append(loud(1, RATE)), COMMIT, until=("completed", 1))
    assert said[1]["type"] == "error" and said[1]["error"]["message"].endswith(".")
    assert (said[1]["error"]["code"], said[1]["error"]["param"]) == (code, param)
    assert said[1]["error"]["type"] == "invalid_request_error"
    assert said[1]["error"]["event_id"] == ("mine" if isinstance(message, dict) else None)
    assert texts(said, "completed") == ["w1"]


def test_a_stream_that_fails_is_told_with_its_item_and_closed(scripted, monkeypatch):
    with scripted.live("/v1/realtime") as socket:
        socket.send_json(BY_CLIENT)
        socket.send_json(append(loud(3, RATE)))
        while not socket.receive_json()["type"].endswith("delta"):
            pass
        scripted.worker.close()
        said = []
        with pytest.raises(WebSocketDisconnect) as closed:
            while True:
                said.append(socket.receive_json())
    assert closed.value.code == 1001
    failed, error = said[-2:]
    assert failed["type"].endswith("transcription.failed") and error["type"] == "error"
    assert failed["error"]["message"] == error["error"]["message"] == "The server is stopping."


# ---- vLLM

MODEL = {"type": "session.update", "model": "Qwen/Qwen3-ASR-0.6B"}
FINAL = COMMIT | {"final": True}


def test_vllm_clients_get_one_text_from_commit_to_final_commit(scripted):
    sound = np.concatenate([loud(2), loud(2, word=0), loud(1)])
    said = heard(scripted, MODEL, COMMIT, append(sound), FINAL, COMMIT, append(loud(1)), FINAL, until=("done", 2))
    assert said[0]["type"] == "session.created" and said[0]["id"] and said[0]["created"] > 0
    assert [event["type"] for event in said[1:]] == [
        *["transcription.delta"] * 3, "transcription.done", "transcription.delta", "transcription.done",
    ]  # fmt: skip
    assert "".join(texts(said, "delta")[:3]) == said[4]["text"] == "w1 w2 w5" and said[-1]["text"] == "w6"


def test_a_commit_within_a_word_loses_and_doubles_no_blank(scripted):
    half, rest = loud(3)[: 3 * WORD // 2], loud(3)[: 5 * WORD // 2]
    said = heard(scripted, MODEL, append(half), FINAL, append(rest), FINAL, until=("done", 2))
    number = [event["type"] for event in said].index("transcription.done")
    first, second = ("".join(texts(part, "delta")) for part in (said[:number], said[number:]))
    assert (first, second) == ("w1", "w2 w3")
    assert [event["text"] for event in said if event["type"] == "transcription.done"] == [first, second]


def test_vllm_clients_get_an_empty_text_for_no_sound(scripted):
    said = heard(scripted, MODEL, COMMIT, FINAL, until=("done", 1))
    assert said[-1] == {"type": "transcription.done", "text": "", "usage": None}


@pytest.mark.parametrize(
    ("first", "message", "code"),
    [
        (MODEL, "not json", "invalid_json"),
        (MODEL, append(b""), "invalid_audio"),
        (MODEL, append(b"") | {"audio": "*"}, "invalid_audio"),
        (MODEL, {"type": "response.create"}, "unknown_event"),
        (MODEL, MODEL | {"model": 7}, "model_not_found"),
        (FINAL, MODEL, "model_not_validated"),
    ],
)
def test_vllm_clients_get_errors_in_their_shape(scripted, first, message, code):
    said = heard(scripted, first, message, MODEL, append(loud(1)), FINAL, until=("done", 1))
    error = said[1]
    assert set(error) == {"type", "error", "code"} and (error["type"], error["code"]) == ("error", code)
    assert said[-1]["text"] == "w1"


# ---- hostile clients

PIECES = st.sampled_from(
    [append(loud(1, RATE)), append(loud(1, RATE, word=0)), append(b"\x01"), COMMIT, CLEAR, BY_CLIENT]
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=2),
)
NAMES = st.sampled_from(
    ["type", "session", "audio", "input", "format", "rate", "transcription", "turn_detection", "final"]
)
OBJECTS = st.recursive(VALUES, lambda inner: st.dictionaries(NAMES, inner, max_size=3), max_leaves=6)
UPDATES = OBJECTS.map(lambda session: {"type": "session.update", "session": session})
INPUTS = st.dictionaries(NAMES, VALUES, max_size=3).map(lambda given: update(**given))
FRAMES = st.lists(st.one_of(PIECES, UPDATES, INPUTS, OBJECTS, st.text(max_size=20), st.binary(max_size=20)), max_size=8)


@pytest.fixture(scope="module")
def fuzzed(make_scripted):
    with make_scripted() as client:
        yield client


@settings(max_examples=10_000 if os.environ.get("LIVECAP_PROVE") else 20)
@given(st.sampled_from(["/v1/realtime", "/v1/listen?encoding=linear16", "/v1/events"]), FRAMES)
def test_no_frame_hurts_another_stream(fuzzed, path, frames):
    with fuzzed.live("/v1/realtime") as other:
        other.receive_json()
        other.send_json(append(loud(1, RATE)))
        with fuzzed.live(path) as socket:
            for frame in frames:
                socket.send_bytes(frame) if isinstance(frame, bytes) else socket.send_text(
                    frame if isinstance(frame, str) else json.dumps(frame)
                )
        other.send_json(COMMIT)
        said = [other.receive_json()]
        while not said[-1]["type"].endswith("completed"):
            said.append(other.receive_json())
    assert said[-1]["transcript"] == "w1"
    assert fuzzed.said == []


# ---- the official client


@pytest.fixture(scope="module")
def sound():
    samples, rate = soundfile.read(RECORDING, dtype="float32", stop=16_000 * 9)
    return (soxr.resample(samples, rate, RATE) * 32767).astype("<i2").tobytes()


def spoken(tiny_server, sound, turn_detection):
    """The events that the official client gets for a recording, up to the text of its last word."""
    with openai.OpenAI(base_url=tiny_server.url, api_key="none") as client:
        with client.realtime.connect(extra_query={"intent": "transcription"}) as connection:
            session = {"type": "transcription", "audio": {"input": {"turn_detection": turn_detection}}}
            connection.session.update(session=session)
            sound += bytes(2 * RATE)
            for at in range(0, len(sound), 12_000):
                connection.input_audio_buffer.append(audio=base64.b64encode(sound[at : at + 12_000]).decode())
            if turn_detection is None:
                connection.input_audio_buffer.commit()
            said, end_ms = [], 0
            for event in connection:
                said.append(event)
                if event.type == "input_audio_buffer.speech_stopped":
                    end_ms = event.audio_end_ms
                if event.type.endswith("transcription.completed") and (turn_detection is None or end_ms > 8500):
                    return said


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # the client uses an old part of websockets
@pytest.mark.parametrize("turn_detection", [None, {"type": "server_vad", "silence_duration_ms": 700}])
def test_the_official_client_gets_deltas_that_add_up_to_the_text(tiny_server, sound, turn_detection):
    said = spoken(tiny_server, sound, turn_detection)
    assert said[0].type == "session.created" and said[0].session.type == "transcription"
    effective = said[1].session.audio.input.turn_detection
    assert (said[1].type, effective and effective.silence_duration_ms) == ("session.updated", turn_detection and 700)
    assert [event for event in said if event.type == "error"] == []
    completed = [event for event in said if event.type.endswith("transcription.completed")]
    for item in completed:
        deltas = [e.delta for e in said if e.type.endswith("transcription.delta") and e.item_id == item.item_id]
        assert "".join(deltas) == item.transcript and item.usage.type == "duration"
    assert sum(len(item.transcript.split()) for item in completed) > 15
    started = [event for event in said if event.type == "input_audio_buffer.speech_started"]
    assert len(started) == (len(completed) if turn_detection else 0)
