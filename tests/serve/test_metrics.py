"""/metrics is valid text of Prometheus and says what happened. A strict reader of the format checks it."""

import asyncio
import re
from types import SimpleNamespace

import pytest
from starlette.responses import StreamingResponse
from starlette.routing import Route
from starlette.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from livecap.serve.app import make_app
from livecap.serve.metrics import Requests, metrics_text
from livecap.serve.served_stream import Asked
from livecap.serve.totals import RECORDING, STREAM, Totals
from livecap.transcribe.recordings import Progress
from livecap.transcribe.units import Stopped
from tests.audio_in.waiting import eventually
from tests.serve.scripted import loud, pcm

NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
SAMPLE = re.compile(rf"({NAME})(?:\{{(.*)\}})? (\S+)")
LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\[\\"n])*)"(?:,|$)')
SUFFIXES = {"histogram": ("_bucket", "_sum", "_count"), "counter": ("",), "gauge": ("",)}


def parsed(text):
    """Name and labels of each sample to its value. Fails where the text breaks a rule of the format 0.0.4."""
    assert text.endswith("\n")
    kinds, helped, found, family = {}, set(), {}, None
    for line in text.split("\n")[:-1]:
        if line.startswith("# HELP "):
            family = line.split(" ", 3)[2]
            assert family not in helped and line.split(" ", 3)[3], "one description each, before its samples"
            helped.add(family)
            continue
        if line.startswith("# TYPE "):
            _, _, name, kind = line.split(" ")
            assert name == family and name not in kinds and kind in SUFFIXES and re.fullmatch(NAME, name)
            assert kind != "counter" or name.endswith("_total")
            kinds[name] = kind
            continue
        match = SAMPLE.fullmatch(line)
        assert match, line
        name, inside, value = match.groups()
        labels = LABEL.findall(inside or "")
        assert "".join(f'{key}="{text}",' for key, text in labels).rstrip(",") == (inside or ""), line
        assert name in [family + suffix for suffix in SUFFIXES[kinds[family]]], "samples follow their description"
        key = (name, tuple(sorted(labels)))
        assert key not in found, f"twice: {line}"
        found[key] = float(value)
        assert kinds[family] == "gauge" or float(value) >= 0
    for name in (name for name, kind in kinds.items() if kind == "histogram"):
        buckets = [(dict(key)["le"], value) for (each, key), value in found.items() if each == f"{name}_bucket"]
        bounds = [float(bound) for bound, _ in buckets]
        assert bounds == sorted(set(bounds)) and bounds[-1] == float("inf")
        counts = [value for _, value in buckets]
        assert counts == sorted(counts) and counts[-1] == found[f"{name}_count", ()] and (f"{name}_sum", ()) in found
    return found


def value(client, name, **labels):
    """A sample of the metrics of a server, 0 where there is none."""
    return parsed(client.get("/metrics").text).get((name, tuple(sorted(labels.items()))), 0)


def outcomes(client):
    """Path and outcome of the requests so far to their number."""
    found = parsed(client.get("/metrics").text)
    return {
        (dict(key)["path"], dict(key)["outcome"]): n
        for (name, key), n in found.items()
        if name == "livecap_requests_total"
    }


def test_the_metrics_of_a_new_server_are_valid(scripted):
    answer = scripted.get("/metrics")
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    found = parsed(answer.text)
    assert found["livecap_streams", ()] == 0 and found["livecap_model_loaded", ()] == 1
    assert found["livecap_memory_peak_bytes", ()] >= found["livecap_memory_bytes", ()] > 1e6
    assert not any(name == "livecap_real_time_factor" for name, _ in found), "there was no sound"


def test_a_stream_is_seen_while_it_waits_and_counted_when_it_was_heard(scripted):
    scripted.engine.gate.clear()
    with scripted.live("/v1/events?settle=false") as socket:
        socket.send_bytes(pcm(loud(20)))
        eventually(lambda: value(scripted, "livecap_streams_waiting_seconds") == 1)
        assert value(scripted, "livecap_streams") == 1 and value(scripted, "livecap_stream_waiting_seconds_max") == 1
        assert value(scripted, "livecap_stream_lag_seconds_count") == 0
        scripted.engine.gate.set()
        socket.send_text('{"type": "finish"}')
        while socket.receive_json()["type"] != "session_ended":
            pass
    assert value(scripted, "livecap_streams") == 0 and value(scripted, "livecap_streams_waiting_seconds") == 0
    assert value(scripted, "livecap_sound_seconds_total", kind="stream") == 2
    assert value(scripted, "livecap_stream_lag_seconds_count") == 2
    spent = value(scripted, "livecap_busy_seconds_total", kind="stream")
    factor = value(scripted, "livecap_real_time_factor", kind="stream")
    assert spent > 0 and factor == pytest.approx(spent / 2, abs=1e-6)


def test_recordings_are_seen_while_they_wait(scripted):
    scripted.engine.gate.clear()
    job = scripted.worker.submit(lambda engine, hooks: engine.gate.wait(20), Asked())
    assert value(scripted, "livecap_recordings_waiting") == 1
    scripted.engine.gate.set()
    assert job.done.result(20)
    eventually(lambda: value(scripted, "livecap_recordings_waiting") == 0)  # counted after who waits is told
    assert value(scripted, "livecap_busy_seconds_total", kind="recording") > 0


def test_requests_are_counted_by_path_and_outcome(scripted, monkeypatch):
    scripted.get("/health")
    scripted.get("/v1/models/tiny")
    scripted.get("/v1/models/other")
    scripted.get("/jobs/0123456789")
    for path in ("/etc/passwd", '/a"b%0Ac', "/v1/models/../x"):
        scripted.get(path)
    scripted.post("/transcribe")
    scripted.get("/health", headers={"Host": "evil.example"})
    with scripted.live("/v1/events") as socket:
        socket.send_text('{"type": "finish"}')
        while socket.receive_json()["type"] != "session_ended":
            pass
        with pytest.raises(WebSocketDisconnect):
            socket.receive_json()
    with scripted.live("/v1/realtime") as socket:
        socket.receive_json()
    with scripted.live("/v1/listen?encoding=opus") as socket, pytest.raises(WebSocketDisconnect):
        socket.receive_json()
    monkeypatch.setattr("livecap.serve.worker.MOST_STREAMS", 0)
    with scripted.live("/v1/listen?encoding=linear16") as socket, pytest.raises(WebSocketDisconnect):
        socket.send_bytes(pcm(loud(1)))
        socket.receive_json()
    wanted = {
        ("/health", "ok"): 1, ("/health", "refused"): 1,
        ("/v1/models/NAME", "ok"): 1, ("/v1/models/NAME", "refused"): 1,
        ("/jobs/ID", "refused"): 1, ("/transcribe", "refused"): 1, ("other", "refused"): 3, ("/v1/events", "ok"): 1,
        ("/v1/realtime", "left"): 1, ("/v1/listen", "refused"): 2,
    }  # fmt: skip
    found = {}

    def all_are_counted():
        found.update({key: n for key, n in outcomes(scripted).items() if key[0] != "/metrics"})
        return sum(found.values()) >= sum(wanted.values())

    eventually(all_are_counted)
    assert found == wanted


async def test_a_client_that_leaves_in_the_middle_of_an_answer_is_counted_as_left(tmp_path):
    app, left = make_app(SimpleNamespace(), tmp_path, None, 1 << 20, [].append), asyncio.Event()

    async def text():
        yield "data: 1"
        left.set()
        await asyncio.Event().wait()

    async def receive():
        await left.wait()
        return {"type": "http.disconnect"}

    async def send(message):
        pass

    app.routes.insert(0, Route("/health", lambda request: StreamingResponse(text())))
    scope = {"type": "http", "path": "/health", "method": "GET", "headers": [(b"host", b"localhost")]}
    await app(scope, receive, send)
    assert list(app.state.requests.samples()) == [('{path="/health",outcome="left"}', 1)]


def test_a_fault_of_the_server_is_counted(tmp_path):
    app = make_app(SimpleNamespace(), tmp_path, None, 1 << 20, [].append)
    with TestClient(app, base_url="http://localhost", raise_server_exceptions=False) as client:
        assert client.get("/v1/models").status_code == 500
    [counted] = app.state.requests.samples()
    assert counted == ('{path="/v1/models",outcome="failed"}', 1)


def test_time_of_a_stream_between_two_batches_does_not_count_for_the_recording():
    now = [0.0]
    totals = Totals(lambda: now[0])
    with totals.busy(RECORDING):
        now[0] = 2.0
        with totals.busy(STREAM):
            now[0] = 3.0
        now[0] = 7.0
    now[0] = 9.0
    assert totals.busy_seconds == {RECORDING: 6.0, STREAM: 1.0}


@pytest.mark.parametrize("error", [None, Stopped("Stopped."), ValueError("in a library")])
def test_sound_of_recordings_counts_once_each_batch_is_decoded_whatever_becomes_of_them(scripted, error):
    def work(engine, hooks):
        for number, seconds in ((0, 1.0), (0, 3.0), (0, 3.0), (1, 2.0), (0, 3.5)):
            hooks.on_progress(Progress(seconds, 9.0, "", number))
        if error is not None:
            raise error

    job = scripted.worker.submit(work, Asked())
    eventually(job.done.done)
    assert value(scripted, "livecap_sound_seconds_total", kind="recording") == 5.5
    scripted.said.clear()


def test_a_lag_is_counted_at_its_bound_and_above():
    totals = Totals()
    for lag in (0.1, 0.11, 20.0, 21.0):
        totals.heard(1600, lag)
    assert totals.lags == [1, 2, 2, 2, 2, 2, 2, 3, 4] and totals.lag_seconds == pytest.approx(41.21)
    assert totals.sound_seconds[STREAM] == pytest.approx(0.4)


def test_what_a_client_asks_for_makes_no_new_line():
    requests = Requests()
    for number in range(100):
        requests.count(f"/jobs/{number}", "ok")
        requests.count(f"/{number}", "refused")
    assert len(list(requests.samples())) == 2


def test_the_memory_of_mlx_is_told_by_pool(scripted, monkeypatch):
    monkeypatch.setattr(type(scripted.worker), "memory", {"MLX": 5, "MLX cache": 6})
    found = parsed(metrics_text(scripted.worker, Requests()))
    assert found["livecap_model_memory_bytes", (("pool", "MLX cache"),)] == 6
