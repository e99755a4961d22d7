"""Shared by the tests of live interfaces: one `livecap serve` with `tiny` in this process, and one with a script."""

import re
import threading
from contextlib import contextmanager
from types import SimpleNamespace

import pytest
from starlette.testclient import TestClient

from livecap.engine import EngineSettings
from livecap.serve.app import make_app
from livecap.serve.live import LiveSocket
from livecap.serve.run import serve
from tests.serve.scripted import scripted_worker


@pytest.fixture(scope="session")
def tiny_server():
    """The address of a server with `tiny`."""
    said, stop, ready = [], threading.Event(), threading.Event()

    def say(sentence):
        said.append(sentence)
        if "Wyoming" in sentence:
            ready.set()

    thread = threading.Thread(
        target=serve,
        args=[EngineSettings("tiny"), "127.0.0.1", 0, None, 1 << 20, say, stop, ("127.0.0.1", 0)],
        daemon=True,
    )
    thread.start()
    assert ready.wait(60)
    url = re.search(r"http://\S+/v1", said[0])[0]
    yield SimpleNamespace(url=url, ws=url.replace("http", "ws"), wyoming=said[1].removeprefix("Serving Wyoming at "))
    stop.set()
    thread.join(60)
    assert len(said) == 2, "the server had faults"


@pytest.fixture(scope="session")
def make_scripted(tmp_path_factory):
    """Makes clients of an application whose model is a script."""

    @contextmanager
    def make():
        said, engines = [], []
        worker = scripted_worker(said, engines)
        app = make_app(worker, tmp_path_factory.mktemp("uploads"), None, 1 << 20, said.append)
        limits = pytest.MonkeyPatch.context()
        with TestClient(app, base_url="http://localhost") as client, limits as patch:
            patch.setattr(LiveSocket, "silent_seconds", 60.0)  # a test that waits in vain fails soon, not in 30 minutes
            client.worker, client.engine, client.said = worker, engines[0], said
            client.live = lambda path: client.websocket_connect(f"ws://localhost{path}")
            yield client
        worker.close()
        assert said == [], "the server had faults"

    return make


@pytest.fixture
def scripted(make_scripted):
    with make_scripted() as client:
        yield client
