"""The official Deepgram client, unmodified, transcribes live with `livecap serve`."""

import json
import threading
import time
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile
from deepgram import DeepgramClient
from deepgram.core.events import EventType
from deepgram.environment import DeepgramClientEnvironment
from starlette.datastructures import QueryParams
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from livecap.engine import EngineSettings
from livecap.serve.deepgram import WORD, _Connection
from livecap.serve.live import Mark
from livecap.transcript import TranscriptUpdate, Word
from tests.serve.scripted import loud, pcm
from tests.serve.test_openai_client import RECORDING

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # the client uses an old part of websockets


@pytest.fixture(scope="module")
def server(tiny_server):
    return tiny_server


@pytest.fixture(scope="module")
def sound():
    samples, rate = soundfile.read(RECORDING, dtype="int16")
    assert rate == 16000
    return samples[: 12 * rate]


def listened(server, sound, *finishing, **options):
    """The messages that the client got for a sound in pieces of 0.25 s, by type."""
    base = server.ws.removesuffix("/v1")
    environment = DeepgramClientEnvironment(base=base, production=base, agent=base, agent_rest=base)
    client = DeepgramClient(api_key="none", environment=environment)
    messages, closed = [], threading.Event()
    with client.listen.v1.connect(model="tiny", encoding="linear16", sample_rate=16000, **options) as connection:
        connection.on(EventType.MESSAGE, messages.append)
        connection.on(EventType.CLOSE, lambda _: closed.set())
        threading.Thread(target=connection.start_listening, daemon=True).start()
        for at in range(0, len(sound), 4000):
            connection.send_media(sound[at : at + 4000].tobytes())
        for finish in finishing:
            getattr(connection, finish)()
        connection.send_close_stream()
        assert closed.wait(120)
    return messages


def of_type(messages, kind):
    return [message for message in messages if message.type == kind]


def transcript(result):
    return result.channel.alternatives[0].transcript


def test_final_results_add_up_to_the_text_and_their_words_have_times(server, sound):
    messages = listened(server, sound, interim_results=True, vad_events=True, utterance_end_ms=1000)
    results = of_type(messages, "Results")
    finals = [result for result in results if result.is_final]
    text = " ".join(filter(None, map(transcript, finals)))
    assert len(text.split()) > 15
    assert any(not result.is_final for result in results) and finals[-1].speech_final
    words = [word for result in finals for word in result.channel.alternatives[0].words]
    assert [word.punctuated_word for word in words] == text.split()
    starts = [word.start for word in words]
    assert starts == sorted(starts) and 0 <= starts[0] and words[-1].end <= 12.5
    assert of_type(messages, "SpeechStarted") and of_type(messages, "UtteranceEnd")
    [metadata] = of_type(messages, "Metadata")
    assert metadata.duration == pytest.approx(12, abs=0.1)


def test_without_interim_results_only_final_ones_come(server, sound):
    results = of_type(listened(server, sound[:64000]), "Results")
    assert results and all(result.is_final for result in results)


def test_finalize_makes_everything_before_it_final_and_the_stream_goes_on(server, sound):
    with connect(f"{server.ws}/listen?encoding=linear16&sample_rate=16000") as client:
        client.send(sound[:48000].tobytes())
        client.send(json.dumps({"type": "Finalize"}))
        first = json.loads(client.recv(60))
        while not first.get("speech_final"):
            first = json.loads(client.recv(60))
        client.send(json.dumps({"type": "KeepAlive"}))
        client.send(sound[48000:96000].tobytes())
        client.send(json.dumps({"type": "CloseStream"}))
        rest = []
        while not rest or rest[-1]["type"] != "Metadata":
            rest.append(json.loads(client.recv(60)))
    assert any(message["type"] == "Results" and message["channel"]["alternatives"][0]["transcript"] for message in rest)
    assert all(message["start"] >= 2.5 for message in rest if message["type"] == "Results")


@pytest.mark.parametrize("rate", [8000, 24000, 48000])
def test_any_rate_and_number_of_channels_is_heard(server, sound, rate):
    positions = np.arange(0, 64000 - 1, 16000 / rate)
    samples = np.interp(positions, np.arange(64000), sound[:64000]).astype("<i2")
    stereo = np.stack([samples, samples], axis=1)
    with connect(f"{server.ws}/listen?encoding=linear16&sample_rate={rate}&channels=2") as client:
        data = stereo.tobytes()
        for at in range(0, len(data), 3333):  # not whole samples
            client.send(data[at : at + 3333])
        client.send(json.dumps({"type": "CloseStream"}))
        said = []
        while not said or said[-1]["type"] != "Metadata":
            said.append(json.loads(client.recv(60)))
    assert said[-1]["duration"] == pytest.approx(4, abs=0.1)
    assert " ".join(m["channel"]["alternatives"][0]["transcript"] for m in said[:-1]).strip()


@pytest.mark.parametrize(
    ("query", "message", "code"),
    [
        ("encoding=opus", b"", 1008),
        ("", b"", 1008),
        ("encoding=linear16&sample_rate=5", b"", 1008),
        ("encoding=linear16&channels=900", b"", 1008),
        ("encoding=linear16&language=klingon", b"", 1008),
        ("encoding=linear16&language=" + "語" * 100, b"", 1008),
    ],
)
def test_a_bad_request_closes_with_its_reason(server, query, message, code):
    with connect(f"{server.ws}/listen?{query}") as client, pytest.raises(ConnectionClosed) as closed:
        client.send(message or b"\0\0")
        client.recv(60)
    assert closed.value.rcvd.code == code and closed.value.rcvd.reason


def test_clients_that_leave_or_never_read_hurt_nobody(server, sound):
    with connect(f"{server.ws}/listen?encoding=linear16", max_queue=1, close_timeout=0.1) as silent:
        silent.send(sound[:64000].tobytes())
        for _ in range(4):
            with connect(f"{server.ws}/listen?encoding=linear16") as leaving:
                leaving.send(sound[:16000].tobytes())
                leaving.socket.shutdown(2)
        began = time.monotonic()
        assert of_type(listened(server, sound[:32000]), "Results")
        assert time.monotonic() - began < 100


FINALIZE = json.dumps({"type": "Finalize"})


def answers(client, query, *messages):
    """What an application says to messages, up to its Metadata."""
    said = []
    with client.live(f"/v1/listen?encoding=linear16&{query}") as socket:
        for message in messages:
            socket.send_bytes(message) if isinstance(message, bytes) else socket.send_text(message)
        socket.send_json({"type": "CloseStream"})
        while not said or said[-1]["type"] != "Metadata":
            said.append(socket.receive_json())
    return said


def test_each_finalize_is_answered_and_only_its_results_say_so(scripted):
    said = answers(
        scripted, "", FINALIZE, pcm(loud(2)), pcm(loud(1, word=0)), FINALIZE, pcm(loud(2)), FINALIZE, pcm(loud(1))
    )
    results = [
        (transcript, result["from_finalize"], result["speech_final"])
        for result in said[:-1]
        if (transcript := result["channel"]["alternatives"][0]["transcript"]) or result["from_finalize"]
    ]
    assert results == [
        ("", True, False),  # nothing was said yet
        ("w1", False, False),
        ("w2", False, True),
        ("", True, False),  # all was final before
        ("w4", False, False),
        ("w5", True, True),
        ("w6", False, True),
    ]


def test_other_terms_may_be_expected_while_a_stream_runs(scripted):
    configure = json.dumps({"type": "Configure", "keyterms": ["Ravi", "Lagos"]})
    said = answers(scripted, "keyterm=Priya", pcm(loud(1)), configure, pcm(loud(1)))
    [configured] = [answer for answer in said if answer["type"] == "ConfigureSuccess"]
    assert configured["keyterms"] == ["Ravi", "Lagos"]
    assert [settings.context for settings in scripted.engine.asked] == ["Priya", "Ravi, Lagos"]


@pytest.mark.parametrize(
    "message", ["oops", "[1]", '{"type": "Confgure"}', '{"type": "Configure", "keyterms": ["a", 5]}']
)
def test_a_message_that_cannot_be_read_is_told_and_costs_no_sound(scripted, message):
    said = answers(scripted, "keyterm=Priya", pcm(loud(2)), message, pcm(loud(1)))
    [error] = [answer for answer in said if answer["type"] == "Error"]
    assert error["variant"] == "SchemaError" and error["description"]
    assert message == error["message"] or json.loads(message) == json.loads(error["message"])
    assert "w3" in json.dumps(said) and {settings.context for settings in scripted.engine.asked} == {"Priya"}


@pytest.mark.parametrize(
    ("asked", "kind"),
    [
        ({"features": {"numerals": True}}, "ConfigureFailure"),
        ({"features": {"numerals": True}, "keyterms": ["Lagos"]}, "ConfigureFailure"),
        ({"features": {"numerals": False}}, "ConfigureSuccess"),
        ({"keyterms": None}, "ConfigureSuccess"),
        ({}, "ConfigureSuccess"),
    ],
)
def test_what_configure_cannot_do_is_no_success(scripted, asked, kind):
    said = answers(scripted, "keyterm=Priya", pcm(loud(1)), json.dumps({"type": "Configure"} | asked), pcm(loud(1)))
    [answer] = [answer for answer in said if answer["type"].startswith("Configure")]
    assert answer["type"] == kind and answer["request_id"]
    assert (kind == "ConfigureSuccess") == ("code" not in answer and "description" not in answer)
    assert {settings.context for settings in scripted.engine.asked} == {"Priya"}


def test_sound_before_other_terms_is_heard_with_the_terms_of_before(scripted):
    configure = json.dumps({"type": "Configure", "keyterms": ["Lagos"]})
    rate = 24_000
    said = answers(scripted, f"sample_rate={rate}", pcm(loud(2, rate)), configure, pcm(loud(1, rate)))
    finals = [result for result in said if result["type"] == "Results" and result["speech_final"]]
    assert [result["start"] + result["duration"] for result in finals] == pytest.approx([0.2, 0.3])


@pytest.mark.parametrize(
    ("endpointing", "seconds"), [("500", 0.5), ("10", 0.3), ("99999999999", 10), ("true", 0.7), ("²", 0.7)]
)
def test_the_silence_that_ends_an_utterance_is_bounded(scripted, endpointing, seconds):
    answers(scripted, f"endpointing={endpointing}", pcm(loud(1)))
    [settings] = scripted.engine.asked
    assert settings.stream.detector.pause_seconds == settings.stream.utterance.quiet_seconds == seconds


def update(stable, partial="", start=0, end=1, utterance=0, words=None):
    """An update of a stream in seconds; the last one of its utterance where there are words."""
    timed = tuple(Word(text, round(first * 16_000), round(last * 16_000), "step") for text, first, last in words or ())
    start, end = start * 16_000, end * 16_000
    return TranscriptUpdate("", utterance, stable, partial, start, end, None, words is not None, timed)


async def messages_for(*told):
    """What a client gets for these updates and marks of a stream."""
    query = QueryParams("encoding=linear16&interim_results=true&utterance_end_ms=1000")
    worker = SimpleNamespace(settings=EngineSettings("tiny"))
    connection, sent = _Connection(SimpleNamespace(query_params=query), worker), []

    async def send(record):
        sent.append(record)

    connection.send = send
    for each in told:
        await connection.tell(each)
    return sent


async def results_of(*updates):
    """(text, is_final, [(word, start, end)]) of each result for these updates."""
    found, sent = [], await messages_for(*updates)
    for message in sent:
        if message["type"] == "Results":
            [said] = message["channel"]["alternatives"]
            words = [(word["punctuated_word"], word["start"], word["end"]) for word in said["words"]]
            assert "".join(text for text, _, _ in words) == "".join(said["transcript"].split())
            end = message["start"] + message["duration"]
            assert not words or words[0][1] == message["start"] and words[-1][2] <= end + 0.002
            found.append((said["transcript"], message["is_final"], words))
    return found, [message["last_word_end"] for message in sent if message["type"] == "UtteranceEnd"]


async def test_each_utterance_that_a_finalize_ends_says_so():
    one = update("one", words=[("one", 0, 1)])
    two = update("two", start=2, end=3, utterance=1, words=[("two", 2, 3)])
    sent = await messages_for(Mark.FLUSH, one, two, Mark.FLUSHED, Mark.FLUSH, Mark.FLUSHED)
    results = [message for message in sent if message["type"] == "Results"]
    assert [message["from_finalize"] for message in results] == [True, True, True]
    assert [message["speech_final"] for message in results] == [True, True, False]


async def test_stable_and_partial_words_share_the_time_of_the_utterance():
    updates = [
        update("", " one", end=1),
        update("one two", " three four", end=4),
        update("one two three", " four", end=6),
    ]
    found, _ = await results_of(*updates)
    assert found == [
        ("one", False, [("one", 0.0, 1.0)]),
        ("one two", True, [("one", 0.0, 1.0), ("two", 1.0, 2.0)]),
        ("three four", False, [("three", 2.0, 3.0), ("four", 3.0, 4.0)]),
        ("three", True, [("three", 2.0, 4.0)]),
        ("four", False, [("four", 4.0, 6.0)]),
    ]


async def test_the_end_of_an_utterance_has_its_times_but_none_before_a_word_that_was_sent():
    ended = [("one", 0.1, 0.4), ("two,", 0.4, 0.9), ("three", 1.2, 9.0)]
    found, ends = await results_of(
        update("one", " two", end=2),
        update("one two, three", end=4, words=ended),
        update("four", start=4, end=5, utterance=1, words=[("four", 3.0, 4.5)]),
    )
    assert [result for result in found if result[1]] == [
        ("one", True, [("one", 0.0, 1.0)]),
        ("two, three", True, [("two,", 1.0, 1.0), ("three", 1.2, 4.0)]),
        ("four", True, [("four", 4.0, 4.5)]),
    ]
    assert ends == [4.0, 4.5]


async def test_a_word_is_sent_as_final_once_nothing_can_be_added_to_it():
    updates = [update("good mor"), update("good mor", "ning"), update("good morning", end=2)]
    found, _ = await results_of(*updates, update("good morning.", end=3, words=[("good", 0, 1), ("morning.", 1, 3)]))
    finals = [text for text, is_final, _ in found if is_final]
    assert finals == ["good", "morning."] and ("morning", False) in [result[:2] for result in found]


async def test_where_a_script_has_no_spaces_each_character_has_a_time():
    updates = [update("你好", "世"), update("你好世界。", end=5, words=[("你", 0, 1), ("好", 1, 2), ("世界。", 2, 4)])]
    found, _ = await results_of(*updates)
    assert [(text, [word for word, _, _ in words]) for text, _, words in found] == [
        ("你好", ["你", "好"]),
        ("世", ["世"]),
        ("世界。", ["世界。"]),
    ]


def test_a_vowel_sign_and_a_small_kana_are_in_the_word_before() -> None:
    assert WORD.findall("ที่เรา パーっ、か\u3099") == ["ที่", "เรา", "パーっ、", "か\u3099"]
