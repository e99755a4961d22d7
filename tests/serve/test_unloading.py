"""A model that nobody uses can be unloaded; it is loaded again for the next client, and whoever uses it keeps it."""

import pytest
from starlette.testclient import TestClient

from livecap.engine import EngineSettings
from livecap.errors import LivecapError, ModelError
from livecap.serve.app import make_app
from livecap.serve.served_stream import Asked
from livecap.serve.worker import Worker
from tests.audio_in.waiting import eventually
from tests.serve.scripted import ScriptedEngine, loud


class Loads:
    """Loads engines, which note that they are closed; fails while `error` is set."""

    def __init__(self):
        self.engines, self.error = [], None

    def __call__(self, settings):
        if self.error is not None:
            raise self.error
        engine = ScriptedEngine(settings)
        engine.is_open = True
        engine.close = lambda: setattr(engine, "is_open", False)
        self.engines.append(engine)
        return engine


@pytest.fixture
def loads():
    return Loads()


@pytest.fixture
def now():
    return [0.0]


@pytest.fixture
def worker(loads, now):
    said = []
    worker = Worker(EngineSettings("tiny"), said.append, loads, clock=lambda: now[0])
    worker.said = said
    worker.start()
    yield worker
    worker.close()
    assert said == [] and not any(engine.is_open for engine in loads.engines)


def text_of(worker, n_words):
    """The text of a new stream of so many words."""
    told = []
    stream = worker.stream(Asked(), told.append)
    stream.feed(loud(n_words))
    stream.finish()
    eventually(lambda: told and told[-1] is None)
    return told[-2].stable


def test_the_next_stream_loads_the_model_again(worker, loads):
    assert text_of(worker, 2) == "w1 w2" and worker.unload().result(20)
    assert worker.engine is None and [engine.is_open for engine in loads.engines] == [False]
    assert worker.unload().result(20) and worker.memory == {}
    assert text_of(worker, 2) == "w1 w2" and [engine.is_open for engine in loads.engines] == [False, True]


def test_the_next_recording_loads_the_model_again(worker, loads):
    assert worker.unload().result(20)
    assert worker.submit(lambda engine, hooks: engine, Asked()).done.result(20) is loads.engines[1]


def test_an_open_stream_and_a_recording_keep_the_model(worker, loads):
    told = []
    stream = worker.stream(Asked(), told.append)
    stream.feed(loud(1)).result(20)
    assert not worker.unload().result(20)
    stream.feed(loud(1))
    stream.finish()
    eventually(lambda: told[-1] is None)
    assert told[-2].stable == "w1 w2" and len(loads.engines) == 1
    job = worker.submit(lambda engine, hooks: worker._unload(), Asked())
    assert job.done.result(20) is False


def test_a_model_is_unloaded_when_it_was_not_used_for_the_time(worker, now):
    def is_kept_at(moment):
        now[0] = moment
        worker.unload_after(60)
        worker._thread.run(lambda: None)
        return worker.engine is not None

    now[0] = 50.0
    assert text_of(worker, 1) == "w1" and is_kept_at(109.0)
    assert worker.submit(lambda engine, hooks: 1, Asked()).done.result(20) == 1
    eventually(lambda: worker.n_waiting == 0)
    assert is_kept_at(168.0) and not is_kept_at(169.0) and not is_kept_at(999.0)
    assert text_of(worker, 1) == "w1" and is_kept_at(1058.0) and not is_kept_at(1059.0)


def test_where_the_model_cannot_be_loaded_again_who_waits_is_told_and_the_next_one_tries_again(worker, loads):
    assert worker.unload().result(20)
    loads.error = ModelError("It is gone from /a/folder.")
    told = []
    stream = worker.stream(Asked(), told.append)
    stream.feed(loud(1))
    eventually(lambda: told == [None])
    assert str(stream.failure) == "The model could not be loaded."
    with pytest.raises(LivecapError, match=r"^The model could not be loaded\.$"):
        worker.submit(lambda engine, hooks: 1, Asked()).done.result(20)
    assert set(worker.said) == {"The model could not be loaded again: ModelError: It is gone from /a/folder."}
    worker.said.clear()
    loads.error = None
    assert text_of(worker, 1) == "w1"


def test_the_memory_of_a_model_that_is_unloaded_meanwhile_can_be_asked_for(worker, monkeypatch):
    engines = [worker.engine]
    with monkeypatch.context() as patch:
        patch.setattr(Worker, "_engine", property(lambda worker: engines.pop() if engines else None), raising=False)
        assert set(worker.memory) == {"MLX peak"}


def test_the_endpoint_deletes_only_this_model_and_only_while_nobody_uses_it(worker, tmp_path):
    app = make_app(worker, tmp_path, None, 1 << 20, print)
    with TestClient(app, base_url="http://localhost") as client:
        assert client.delete("/v1/models/whisper-1").status_code == 404
        stream = worker.stream(Asked(), lambda told: None)
        refused = client.delete("/v1/models/tiny")
        assert (refused.status_code, refused.json()["error"]["code"]) == (409, "model_in_use")
        assert refused.json()["error"]["message"].startswith("1 stream and 0 recordings use the model.")
        stream.finish(drop=True)
        eventually(lambda: worker.n_streams == 0)
        assert client.delete("/v1/models/tiny").json() == {"id": "tiny", "object": "model", "deleted": True}
        assert worker.engine is None and client.get("/v1/models/tiny").json()["id"] == "tiny"
