"""livecap's own live interface: sound in, the events of `livecap --json` out."""

import json

import numpy as np
import pytest
import soundfile
from starlette.websockets import WebSocketDisconnect
from websockets.sync.client import connect

from livecap.transcript import from_record, knows
from tests.serve.scripted import loud, pcm
from tests.serve.test_openai_client import RECORDING

FINISH = json.dumps({"type": "finish"})


def events(client, query, *messages):
    """The events of a session, each checked."""
    said = []
    with client.live(f"/v1/events?{query}") as socket:
        for message in messages:
            socket.send_bytes(message) if isinstance(message, bytes) else socket.send_text(message)
        while not said or said[-1]["type"] != "session_ended":
            said.append(socket.receive_json())
    assert all(knows(event) and from_record(event) for event in said)
    times = [event["wall_seconds"] for event in said]
    assert times == sorted(times)
    return said


def of_type(said, kind):
    return [event for event in said if event["type"] == kind]


def test_a_session_is_told_from_its_start_to_its_end(scripted):
    sound = pcm(np.concatenate([loud(2), loud(2, word=0), loud(1)]))
    said = events(scripted, "language=de&context=Priya", sound, FINISH)
    assert [event["type"] for event in said] == [
        "session_started",
        *("update", "text_committed", "update", "text_committed", "update", "utterance_ended"),
        *("update", "text_committed", "update", "utterance_ended"),
        *("capture_report", "session_ended"),
    ]
    assert said[0]["settings"] == {"language": "German", "context": "Priya", "settle": True}
    ended = of_type(said, "utterance_ended")
    assert [event["text"] for event in ended] == ["w1 w2", "w5"]
    for utterance in (0, 1):
        committed = [event["text"] for event in of_type(said, "text_committed") if event["utterance"] == utterance]
        assert "".join(committed) == ended[utterance]["text"]
    [report] = of_type(said, "capture_report")
    assert report["captured_samples"] == 8000 == report["decoded_samples"] + report["silence_samples"]
    assert report["decoded_samples"] == sum(event["end_sample"] - event["start_sample"] for event in ended)
    assert (said[-1]["n_samples"], said[-1]["reason"]) == (8000, "end of source")
    assert scripted.engine.asked[0].language == "German" and scripted.engine.asked[0].settle


@pytest.mark.parametrize(("query", "settles"), [("settle=0", False), ("settle=1", True), ("settle=True", True)])
def test_text_is_settled_unless_the_client_says_no(scripted, query, settles):
    events(scripted, query, pcm(loud(1)), FINISH)
    assert scripted.engine.asked[0].settle == settles


def test_a_flush_makes_text_stable_and_the_session_goes_on(scripted):
    said = events(scripted, "settle=false", pcm(loud(1)), '{"type": "flush"}', pcm(loud(1)), FINISH)
    assert [event["text"] for event in of_type(said, "utterance_ended")] == ["w1", "w2"]
    assert not scripted.engine.asked[0].settle


@pytest.mark.parametrize("request_text", ["not json", "[1]", '{"type": "stop"}', "{}"])
def test_a_bad_request_is_a_notice_and_the_session_goes_on(scripted, request_text):
    said = events(scripted, "", request_text, pcm(loud(1)), FINISH)
    [notice] = of_type(said, "notice")
    assert notice["severity"] == "error" and of_type(said, "utterance_ended")[0]["text"] == "w1"


def test_a_client_that_sends_more_than_is_decoded_is_told_so_once(scripted):
    scripted.engine.gate.clear()
    said = []
    with scripted.live("/v1/events") as socket:
        for _ in range(30):
            socket.send_bytes(pcm(loud(10)))
        socket.send_text(FINISH)
        while not of_type(said, "notice"):
            said.append(socket.receive_json())
        scripted.engine.gate.set()
        while said[-1]["type"] != "session_ended":
            said.append(socket.receive_json())
    [notice] = of_type(said, "notice")
    assert notice["message"] == "20 s of sound wait. More is read when they are decoded."
    assert said[-1]["n_samples"] == 30 * 16_000, "nothing is lost"


@pytest.mark.parametrize(
    "query", ["encoding=opus", "sample_rate=1", "channels=9", "channels=1.5", "sample_rate=16000.5", "language=klingon"]
)
def test_what_cannot_be_heard_closes_the_connection_with_a_reason(scripted, query):
    with scripted.live(f"/v1/events?{query}") as socket, pytest.raises(WebSocketDisconnect) as closed:
        socket.receive_json()
    assert closed.value.code == 1008 and closed.value.reason.endswith((".", "…"))


def test_a_session_that_fails_says_why(scripted):
    said = []
    with scripted.live("/v1/events") as socket, pytest.raises(WebSocketDisconnect) as closed:
        socket.send_bytes(pcm(loud(1)))
        while not of_type(said, "update"):
            said.append(socket.receive_json())
        scripted.worker.close()
        while True:
            said.append(socket.receive_json())
    assert closed.value.code == 1001
    assert (said[-1]["type"], said[-1]["reason"]) == ("session_ended", "failed: The server is stopping.")


def test_a_recording_is_heard_and_settled_with_tiny(tiny_server):
    sound, _ = soundfile.read(RECORDING, dtype="int16", stop=16_000 * 6)
    said = []
    with connect(f"{tiny_server.ws}/events") as socket:
        socket.send(sound.tobytes())
        socket.send(FINISH)
        for message in socket:
            said.append(json.loads(message))
    ended, settled = of_type(said, "utterance_ended"), of_type(said, "utterance_settled")
    assert len(" ".join(event["text"] for event in ended).split()) > 8
    assert [event["utterance"] for event in settled] == [event["utterance"] for event in ended]
    assert all(word["quality"] in ("attention", "settled") for event in settled for word in event["words"])
