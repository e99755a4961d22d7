"""A server that stops finishes what runs, within a bound, and tells everybody else; each test has a real server."""

import asyncio
import contextlib
import json
import threading
from types import SimpleNamespace

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from livecap.serve import run, stopping
from livecap.serve import worker as worker_module
from livecap.serve.access import listening_socket
from livecap.serve.app import make_app
from livecap.serve.http import config_of
from livecap.serve.worker import Stopping
from livecap.serve.wyoming import Wyoming
from livecap.transcribe.recordings import Progress
from livecap.transcribe.result import Segment, Transcription
from livecap.transcribe.units import Stopped
from tests.serve.scripted import loud, pcm, scripted_worker

SAID = Transcription("Good morning.", 1.0, "English", (Segment("Good morning.", 0, 16000, "English", (), "stop"),))
STOPPING = "The server is stopping."


class Serving:
    """A server in this event loop whose recordings take until `gate` is open."""

    def __init__(self, worker, server, port, engine, gate):
        self.worker, self.server, self.engine, self.gate = worker, server, engine, gate
        self.ws, self.url = f"ws://127.0.0.1:{port}", f"http://127.0.0.1:{port}"
        self.client = httpx.AsyncClient(base_url=self.url, timeout=60)

    def stop(self):
        self.server.should_exit = True

    def post(self, path="/v1/audio/transcriptions", **form):
        return self.client.post(path, data=form, files={"file": b"sound"})

    async def until(self, condition):
        """Wait until a condition holds."""
        async with asyncio.timeout(30):
            while not condition():
                await asyncio.sleep(0.001)

    async def until_stopping(self):
        async with asyncio.timeout(30):
            while (await self.client.get("/health")).status_code != 503:
                await asyncio.sleep(0.001)


@pytest.fixture
def serving(monkeypatch, tmp_path):
    gate, said, engines = threading.Event(), [], []

    def transcribe_file(engine, path, options, hooks):
        while not gate.wait(0.005):
            hooks.on_progress(Progress(0.5, 1.0, "Good"))
            if hooks.is_stopped():
                raise Stopped("Stopped.")
        return SAID

    monkeypatch.setattr(worker_module, "transcribe_file", transcribe_file)
    monkeypatch.setattr(stopping, "TELL_SECONDS", 60.0)  # a busy machine may be slow to ask
    monkeypatch.setattr(run, "STOP_SECONDS", 300.0)

    @contextlib.asynccontextmanager
    async def serve():
        worker = scripted_worker(said, engines)
        app = make_app(worker, tmp_path, None, 1 << 20, said.append)
        with contextlib.closing(listening_socket("127.0.0.1", 0)) as listener:
            server = run.Servers(config_of(app, 1 << 20, 60), Wyoming(worker, said.append), app.state.stop)
            task = asyncio.create_task(server.run_all(listener, None))
            serving = Serving(worker, server, listener.getsockname()[1], engines[0], gate)
            serving.outcomes = lambda: dict(app.state.requests.samples())
            await serving.until(lambda: server.started)
            try:
                yield serving
            finally:
                gate.set()
                engines[0].gate.set()
                serving.stop()
                await serving.client.aclose()
                await asyncio.wait_for(task, 60)
                worker.close()
        assert said == [] and list(tmp_path.iterdir()) == []

    return serve


async def rest_of(socket):
    """The JSON messages of a connection until it is closed, and its code and reason."""
    messages = []
    try:
        async with asyncio.timeout(30):
            while True:
                messages.append(json.loads(await socket.recv()))
    except ConnectionClosed as closed:
        return messages, (closed.rcvd.code, closed.rcvd.reason)


async def test_the_recording_that_runs_is_finished_and_those_that_wait_are_refused(serving):
    async with serving() as server:
        running = asyncio.create_task(server.post())
        await server.until(lambda: server.worker.n_waiting == 1)
        waiting = asyncio.create_task(server.post())
        await server.until(lambda: server.worker.n_waiting == 2)
        server.stop()
        refused = await waiting
        assert (refused.status_code, refused.json()["error"]["code"]) == (503, "stopping")
        assert (await server.post()).status_code == 503
        server.gate.set()
        assert (await running).json()["text"] == "Good morning."
        path = '{path="/v1/audio/transcriptions",outcome='
        await server.until(lambda: sum(server.outcomes().values()) == 3)
        assert server.outcomes() == {path + '"ok"}': 1, path + '"stopped"}': 2}


async def test_jobs_are_told_and_the_one_that_runs_can_be_fetched(serving):
    async with serving() as server:
        running = (await server.post("/transcribe")).headers["location"]
        await server.until(lambda: server.worker.totals._kind == "recording")
        waiting = (await server.post("/transcribe")).headers["location"]
        server.stop()
        await server.until_stopping()
        state = (await server.client.get(waiting)).json()
        assert (state["status"], state["error"]["message"]) == ("failed", STOPPING)
        assert (await server.client.get(running)).json()["status"] == "running"
        assert (await server.post("/transcribe")).status_code == 503
        server.gate.set()
        await server.until(lambda: not server.worker.is_used)
        state = (await server.client.get(running)).json()
        assert (state["status"], state["result"]["text"]) == ("done", "Good morning.")


async def test_a_model_cannot_be_deleted_once_the_work_has_ended(serving):
    async with serving() as server:
        job = (await server.post("/transcribe")).headers["location"]
        server.gate.set()
        server.stop()
        await server.until_stopping()
        await server.until(lambda: server.worker._closing)
        answer = await server.client.delete("/v1/models/tiny")
        assert (answer.status_code, answer.json()["error"]["code"]) == (503, "stopping")
        assert (await server.client.get(job)).json()["id"]


@pytest.mark.parametrize("stream", ["false", "true"])
async def test_what_takes_longer_than_the_bound_is_ended_and_told(serving, monkeypatch, stream):
    monkeypatch.setattr(run, "STOP_SECONDS", 0.1)
    async with serving() as server:
        running = asyncio.create_task(server.post(stream=stream))
        await server.until(lambda: server.worker.n_waiting == 1)
        server.stop()
        answer = await running
        error = answer.json()
        assert answer.status_code == 503
        assert (error["error"]["message"], error["error"]["code"]) == (STOPPING, "stopping")


@pytest.mark.parametrize("kind", ["multipart/form-data; boundary=x", "application/json"])
async def test_a_request_whose_body_does_not_come_is_told_that_the_server_stops(serving, kind):
    async with serving() as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", httpx.URL(server.url).port)
        head = f"POST /v1/audio/transcriptions HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: {kind}\r\n"
        writer.write(f"{head}Content-Length: 100000\r\n\r\n--x\r\nContent-".encode())
        await server.until(lambda: server.server.server_state.tasks)
        server.stop()
        answer = await asyncio.wait_for(reader.read(), 60)
        assert answer.startswith(b"HTTP/1.1 503") and STOPPING.encode() in answer
        writer.close()


@pytest.mark.parametrize("path", ["/v1/listen?encoding=linear16", "/v1/events?settle=false"])
async def test_a_live_client_gets_the_text_of_what_it_said_and_is_told_why(serving, path):
    async with serving() as server, connect(server.ws + path) as socket:
        server.engine.gate.clear()
        await socket.send(pcm(loud(3)))
        await server.until(lambda: server.worker.n_streams == 1)
        server.stop()
        await server.until_stopping()
        server.engine.gate.set()
        messages, closed = await rest_of(socket)
        assert "w3" in json.dumps(messages) and closed == (1001, STOPPING)
        if "events" in path:
            assert messages[-1]["reason"] == "stopped"


@pytest.mark.parametrize("first", [None, {"type": "session.update", "model": "tiny"}, {"type": "session.update"}])
async def test_a_connection_that_waits_for_its_client_is_closed_with_the_reason(serving, first):
    async with serving() as server, connect(server.ws + "/v1/realtime") as socket:
        await socket.recv()
        if first is not None:
            await socket.send(json.dumps(first))
        server.stop()
        _, closed = await rest_of(socket)
        assert closed == (1001, STOPPING)


async def test_who_connects_while_the_server_stops_is_told(serving):
    async with serving() as server:
        running = asyncio.create_task(server.post())
        await server.until(lambda: server.worker.n_waiting == 1)
        server.stop()
        await server.until_stopping()
        async with connect(server.ws + "/v1/listen?encoding=linear16") as socket:
            assert (await rest_of(socket))[1] == (1001, STOPPING)
        await server.until(lambda: server.outcomes().get('{path="/v1/listen",outcome="stopped"}') == 1)
        server.gate.set()
        assert (await running).status_code == 200


async def test_a_stream_that_is_too_slow_is_ended_and_told(serving, monkeypatch):
    monkeypatch.setattr(run, "STOP_SECONDS", 0.1)
    async with serving() as server, connect(server.ws + "/v1/listen?encoding=linear16") as socket:
        server.engine.gate.clear()
        await socket.send(pcm(loud(30)))
        await server.until(lambda: server.worker.n_streams == 1)
        server.stop()
        await server.until_stopping()
        await server.until(lambda: server.worker._closing)
        server.engine.gate.set()
        assert (await rest_of(socket))[1] == (1001, STOPPING)


async def test_the_server_does_not_wait_for_clients_of_jobs_that_never_ask(serving, monkeypatch):
    monkeypatch.setattr(stopping, "TELL_SECONDS", 0.1)
    async with serving() as server:
        server.gate.set()
        assert (await server.post("/transcribe")).status_code == 202
        server.stop()
        await server.until(lambda: not server.server.servers or not server.server.servers[0].is_serving())


async def test_a_client_whose_time_runs_out_at_that_moment_is_told_too():
    worker = SimpleNamespace(take_nothing_more=lambda: None, is_used=False, close=lambda: None)
    stop = stopping.GracefulStop(worker, lambda: True)
    waiting = asyncio.create_task(stop.unless_stopping(asyncio.Event().wait, 0))
    while not any(wait.expired() for wait in stop._waits):
        await asyncio.sleep(0)
    await stop.run(1)
    with pytest.raises(Stopping):
        await waiting
