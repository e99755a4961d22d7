"""The official client of the Wyoming protocol, unmodified, transcribes with `livecap serve --wyoming`."""

import asyncio
import contextlib
import json
import os
from contextlib import asynccontextmanager

import httpx
import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from wyoming.asr import Transcribe, Transcript, TranscriptChunk
from wyoming.audio import AudioChunk, AudioStart, AudioStop
from wyoming.client import AsyncClient, AsyncTcpClient
from wyoming.error import Error
from wyoming.info import Describe, Info
from wyoming.ping import Ping, Pong

from livecap.serve import run
from livecap.serve.access import listening_socket
from livecap.serve.http import config_of
from livecap.serve.stopping import GracefulStop
from livecap.serve.wyoming import MOST_CLIENTS, Wyoming
from tests.serve.scripted import loud, pcm, scripted_worker
from tests.serve.test_openai_client import RECORDING

STOP = AudioStop()


@asynccontextmanager
async def served():
    """A server whose model is a script: its port, and the engine."""
    said, engines = [], []
    worker = scripted_worker(said, engines)
    server = Wyoming(worker, said.append)
    with contextlib.closing(listening_socket("127.0.0.1", 0)) as listener:
        await server.open(listener)
        server.engine, server.worker, server.port = engines[0], worker, listener.getsockname()[1]
        yield server
        await server.close(10)
    worker.close()
    assert said == [] and worker.n_streams == 0


def chunk(sound, rate=16000, width=2, channels=1):
    return AudioChunk(rate, width, channels, sound if isinstance(sound, bytes) else pcm(sound))


async def answers(client, *events, until="transcript-stop"):
    """What the server says to events."""
    for event in events:
        await client.write_event(event.event())
    said = []
    while (event := await client.read_event()) is not None:
        said.append(event)
        if event.type == until:
            break
    return said


async def test_the_server_describes_itself_and_answers_pings():
    async with served() as server, AsyncTcpClient("127.0.0.1", server.port) as client:
        [info] = await answers(client, Describe(), until="info")
        [program] = Info.from_event(info).asr
        assert program.supports_transcript_streaming and program.requires_external_vad and program.installed
        [model] = program.models
        assert model.name == "tiny" and {"en", "de", "zh"} <= set(model.languages)
        [pong] = await answers(client, Ping(text="here"), until="pong")
        assert Pong.from_event(pong).text == "here"


async def test_text_comes_in_chunks_and_as_a_whole_and_the_connection_goes_on():
    sound = np.concatenate([loud(2), loud(2, word=0), loud(1)])
    names = Transcribe(language="en-GB", transcript_names=["Priya"], transcript_terms=["Lagos"])
    async with served() as server, AsyncTcpClient("127.0.0.1", server.port) as client:
        first = await answers(client, names, AudioStart(16000, 2, 1), chunk(sound), STOP)
        chunks = [TranscriptChunk.from_event(event).text for event in first if event.type == "transcript-chunk"]
        assert [event.type for event in first if event.type != "transcript-chunk"] == [
            "transcript-start", "transcript", "transcript-stop",
        ]  # fmt: skip
        transcript = Transcript.from_event(first[-2])
        assert transcript.text == "".join(chunks) == "w1 w2 w5" and transcript.language == "en"
        again = await answers(
            client, Transcribe(), AudioStart(48000, 4, 2), chunk(b"\0\0\0\x40" * 9600, 48000, 4, 2), STOP
        )
        assert Transcript.from_event(again[-2]).text == "w1"
        asked, other = server.engine.asked
        assert (asked.language, asked.context) == ("English", "Priya, Lagos")
        assert (other.language, other.context) == (None, "")


@pytest.mark.parametrize("events", [[STOP], [AudioStart(16000, 2, 1), STOP], [Transcribe(), chunk(b""), STOP]])
async def test_no_sound_is_an_empty_text(events):
    async with served() as server, AsyncTcpClient("127.0.0.1", server.port) as client:
        assert Transcript.from_event((await answers(client, *events))[-2]).text == ""


@pytest.mark.parametrize(
    ("events", "sentence"),
    [
        ([chunk(b"\0\0", rate=1)], "Sound must have a rate from 8000 to 192000"),
        ([chunk(b"\0\0", width=3)], "a width of 2 or 4 bytes"),
        ([AudioStart(16000, 2, 0)], "1 to 8 channels"),
        ([AudioStart("16000", 2, 1)], "Sound must have"),
        ([Transcribe(language="klingon")], "No language named"),
        ([Transcribe(transcript_names=[7])], "names and terms lists of texts"),
        ([Transcribe(transcript_names="Ada")], "names and terms lists of texts"),
        ([Transcribe(transcript_terms=5)], "names and terms lists of texts"),
    ],
)
async def test_what_cannot_be_done_is_an_error_and_ends_the_connection(events, sentence):
    async with served() as server, AsyncTcpClient("127.0.0.1", server.port) as client:
        said = await answers(client, *events)
        assert said[-1].type == "error" and sentence in Error.from_event(said[-1]).text


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"not json\n", "not a JSON object"),
        (b"[]\n", "not a JSON object"),
        (b'{"data": 1}\n', "needs a type"),
        (b'{"type": "describe", "data": [1]}\n', "needs a type"),
        (b'{"type": "describe", "data_length": 99999999999}\n', "data_length must be a whole number up to"),
        (b'{"type": "audio-chunk", "payload_length": -1}\n', "payload_length must be a whole number up to"),
        (b'{"type": "audio-chunk", "payload_length": "9"}\n', "payload_length must be"),
        (b"x" * 70_000, "at most 64 KiB"),
        (b'{"type": "describe", "data_length": 2}\n\xff\xff', "not a JSON object"),
    ],
)
async def test_bad_bytes_are_an_error_and_end_the_connection(data, sentence):
    async with served() as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(data)
        writer.write_eof()  # a server that waits for more than there is gives no answer, and does not wait forever
        said = await reader.read()
        assert json.loads(said.split(b"\n")[0])["type"] == "error" and sentence in said.decode()
        writer.close()


async def test_more_clients_than_there_is_room_for_are_told_so():
    async with served() as server, contextlib.AsyncExitStack() as stack:
        for _ in range(MOST_CLIENTS):
            await stack.enter_async_context(AsyncTcpClient("127.0.0.1", server.port))
        async with AsyncTcpClient("127.0.0.1", server.port) as one_more:
            assert Error.from_event(await one_more.read_event()).code == "busy"


async def test_at_the_end_a_text_that_is_awaited_is_sent_and_others_are_cut_off():
    async with served() as server:
        async with AsyncTcpClient("127.0.0.1", server.port) as client, AsyncTcpClient("127.0.0.1", server.port) as idle:
            server.engine.gate.clear()
            counted = []
            server._count = counted.append
            for event in (chunk(loud(2)), STOP):
                await client.write_event(event.event())
            assert (await client.read_event()).type == "transcript-start"
            while server.worker.n_streams == 0:
                await asyncio.sleep(0.01)
            closing = asyncio.create_task(server.close(20))
            assert Error.from_event(await idle.read_event()).text == "The server is stopping."
            assert await idle.read_event() is None
            server.engine.gate.set()
            assert Transcript.from_event((await answers(client))[-2]).text == "w1 w2"
            await closing
            assert counted == ["stopped", "ok"]


async def test_sound_that_has_come_when_the_server_stops_is_transcribed_and_its_client_told():
    async with served() as server, AsyncTcpClient("127.0.0.1", server.port) as client:
        counted = []
        server._count = counted.append
        await client.write_event(chunk(loud(2)).event())
        while server.worker.n_streams == 0:
            await asyncio.sleep(0.01)
        closing = asyncio.create_task(server.close(20))
        assert Transcript.from_event((await answers(client))[-2]).text == "w1 w2"
        assert Error.from_event(await client.read_event()).code == "stopping"
        assert await client.read_event() is None
        await closing
        assert counted == ["stopped"]


async def test_a_client_that_writes_on_after_a_fault_can_read_what_it_was():
    async with served() as server, AsyncTcpClient("127.0.0.1", server.port) as client:
        await client.write_event(chunk(b"\0" * 3000, width=3).event())
        for _ in range(20):
            await asyncio.sleep(0.02)
            await client.write_event(chunk(loud(1)).event())
        said = [await client.read_event() for _ in range(2)]
        assert [event.type for event in said] == ["transcript-start", "error"]
        assert await client.read_event() is None


async def test_a_client_that_does_not_read_does_not_hold_up_the_end(monkeypatch):
    async def send(connection, kind, **data):
        await asyncio.Event().wait()

    monkeypatch.setattr("livecap.serve.wyoming._Connection.send", send)
    monkeypatch.setattr("livecap.serve.wyoming.TELL_SECONDS", 0.01)
    async with served() as server, AsyncTcpClient("127.0.0.1", server.port) as client:
        await client.write_event(Describe().event())
        while not server._connections:
            await asyncio.sleep(0.01)
        await asyncio.wait_for(server.close(60), 30)


async def test_a_client_that_does_not_read_is_cut_off(monkeypatch):
    monkeypatch.setattr("livecap.serve.wyoming.SEND_SECONDS", 0.1)
    async with served() as server:
        _, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.transport.pause_reading()
        ping = json.dumps({"type": "ping", "data": {"text": "x" * 60_000}}).encode() + b"\n"
        with contextlib.suppress(OSError):
            async with asyncio.timeout(20):
                while not writer.transport.is_closing():
                    writer.write(ping)
                    await writer.drain()
        assert writer.transport.is_closing()


async def test_while_an_http_request_is_finished_wyoming_clients_are_told_and_cut_off():
    began, goes_on = asyncio.Event(), asyncio.Event()

    async def slow(request):
        began.set()
        await goes_on.wait()
        return PlainTextResponse("done")

    worker = scripted_worker([])
    app = Starlette(routes=[Route("/slow", slow)])
    with contextlib.closing(listening_socket("127.0.0.1", 0)) as http, listening_socket("127.0.0.1", 0) as wyoming:
        address, port = f"http://127.0.0.1:{http.getsockname()[1]}/slow", wyoming.getsockname()[1]
        server = run.Servers(config_of(app, 1 << 20, 30), Wyoming(worker, print), GracefulStop(worker, lambda: True))
        serving = asyncio.create_task(server.run_all(http, wyoming))
        async with httpx.AsyncClient(timeout=60) as client, AsyncTcpClient("127.0.0.1", port) as idle:
            asked = asyncio.create_task(client.get(address))
            await began.wait()
            server.should_exit = True
            told = Error.from_event(await asyncio.wait_for(idle.read_event(), 20))
            assert (told.text, told.code) == ("The server is stopping.", "stopping")
            assert await asyncio.wait_for(idle.read_event(), 20) is None
            goes_on.set()
            assert (await asked).text == "done"
        await serving
    worker.close()


JSON = st.recursive(
    st.none() | st.integers() | st.floats() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=2),
    max_leaves=3,
)
HEADS = st.dictionaries(
    st.sampled_from(["type", "data", "data_length", "payload_length", "rate", "width", "channels"]), JSON, max_size=4
)
TYPES = st.sampled_from(["describe", "transcribe", "audio-start", "audio-chunk", "audio-stop", "ping", "other"])
EVENTS = st.builds(lambda kind, data: {"type": kind, "data": data}, TYPES, HEADS) | HEADS
FRAMES = st.lists(EVENTS.map(lambda event: json.dumps(event).encode() + b"\n") | st.binary(max_size=20), max_size=8)


@settings(max_examples=500 if os.environ.get("LIVECAP_PROVE") else 3)
@given(st.lists(FRAMES, min_size=1, max_size=20))
def test_no_frame_hurts_another_stream(clients):
    """Each example is one server, up to 20 bad clients, and a good one that speaks meanwhile."""

    async def run():
        async with served() as server, AsyncTcpClient("127.0.0.1", server.port) as good:
            await good.write_event(chunk(loud(1)).event())
            for frames in clients:
                _, writer = await asyncio.open_connection("127.0.0.1", server.port)
                with contextlib.suppress(OSError):
                    writer.write(b"".join(frames))
                    await writer.drain()
                writer.close()
            assert Transcript.from_event((await answers(good, STOP))[-2]).text == "w1"

    asyncio.run(run())


async def test_a_recording_is_heard_with_tiny(tiny_server):
    sound, rate = soundfile.read(RECORDING, dtype="int16", stop=16_000 * 5)
    pieces = [chunk(sound[at : at + 1024].tobytes(), rate) for at in range(0, len(sound), 1024)]
    async with AsyncClient.from_uri(tiny_server.wyoming) as client:
        said = await answers(client, Transcribe(language="en"), AudioStart(rate, 2, 1), *pieces, STOP)
    assert len(Transcript.from_event(said[-2]).text.split()) > 7
    assert [event.type for event in said].count("transcript-chunk") > 1
