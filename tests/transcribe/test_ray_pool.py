"""The rules of the pool, with a scripted cluster: tries, lost workers, and failures. They need no Ray."""

import importlib
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from livecap.engine import EngineSettings
from livecap.transcribe.decoding import DecodingOptions
from livecap.transcribe.units import Unit
from livecap.version import VERSION

SETTINGS = EngineSettings("tiny")
WAIT_SECONDS = 60


class RayError(Exception):
    """Base of what Ray raises."""


class RayActorError(RayError):
    """A worker has ended."""


class RayTaskError(RayError):
    """A call has raised `cause`."""

    def __init__(self, cause: Exception) -> None:
        super().__init__(str(cause))
        self.cause = cause


@dataclass
class Cluster:
    """One machine, whose workers do what a test says."""

    decode: Callable[[Unit], Any] = lambda unit: [unit]
    send: Callable[[], None] = lambda: None
    """Called when a unit is handed to a worker."""
    n_loaded: int = 0
    decoded: list[Unit] = field(default_factory=list)
    pool: Any = None

    def actor(self) -> Any:
        def load(settings: EngineSettings) -> Callable[[], Any]:
            self.n_loaded += 1
            return lambda: ("here", VERSION, "weights")

        def decode(unit: Unit, settings: EngineSettings, options: DecodingOptions) -> Callable[[], Any]:
            self.send()

            def work() -> Any:
                self.decoded.append(unit)
                return self.decode(unit)

            return work

        return Handle(load=SimpleNamespace(remote=load), decode=SimpleNamespace(remote=decode))


class Handle(SimpleNamespace):
    """A worker as the pool holds it: a key of a dictionary."""

    __hash__ = object.__hash__


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[Cluster]:
    found = Cluster()
    ray, exceptions = ModuleType("ray"), ModuleType("ray.exceptions")
    for name, value in {
        "init": lambda **options: None,
        "shutdown": lambda: None,
        "cluster_resources": lambda: {"livecap": 1.0},
        "remote": lambda worker: SimpleNamespace(options=lambda **options: SimpleNamespace(remote=found.actor)),
        "wait": lambda refs, timeout: (refs[:1], refs[1:]),
        "get": lambda ref: ref(),
        "kill": lambda actor: None,
    }.items():
        setattr(ray, name, value)
    for error in (RayError, RayActorError, RayTaskError):
        setattr(exceptions, error.__name__, error)
    monkeypatch.setitem(sys.modules, "ray", ray)
    monkeypatch.setitem(sys.modules, "ray.exceptions", exceptions)
    monkeypatch.delitem(sys.modules, "livecap.transcribe.ray_pool", raising=False)
    module = importlib.import_module("livecap.transcribe.ray_pool")
    monkeypatch.setattr(module, "GROW_SECONDS", 0.0)
    found.pool = module.RayPool("auto", SETTINGS, "weights", lambda message: None)
    yield found
    found.pool.close()
    del sys.modules["livecap.transcribe.ray_pool"]


def submit(cluster: Cluster, unit: Unit) -> Any:
    return cluster.pool.submit(unit, SETTINGS, DecodingOptions(), lambda: False)


def test_a_cluster_that_goes_while_a_model_is_loaded_ends_the_units(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(*arguments: Any, **options: Any) -> Any:
        raise RayError("no head")

    for name in ("wait", "kill"):
        monkeypatch.setattr(sys.modules["ray"], name, gone)
    for _ in range(2):
        with pytest.raises(Exception, match="cannot be reached any more"):
            submit(cluster, Unit([[]], [[]])).result(10)


def test_units_come_back_each_once(cluster: Cluster) -> None:
    units = [Unit([[]], [[]]) for _ in range(5)]
    results = [submit(cluster, unit) for unit in units]
    assert [result.result(WAIT_SECONDS)[0] is unit for result, unit in zip(results, units, strict=True)] == [True] * 5
    assert len(cluster.decoded) == 5 and cluster.n_loaded == 1


@pytest.mark.parametrize(
    ("error", "n_loaded"), [(RayTaskError(ValueError("odd")), 1), (RayActorError("killed"), 3)], ids=["raises", "ends"]
)
def test_a_unit_that_fails_three_times_is_given_up_and_the_others_go_on(
    cluster: Cluster, error: RayError, n_loaded: int
) -> None:
    def decode(unit: Unit) -> Any:
        if unit is bad:
            raise error
        return [unit]

    bad, good = Unit([[]], [[]]), Unit([[]], [[]])
    cluster.decode = decode
    failed, done = submit(cluster, bad), submit(cluster, good)
    with pytest.raises(Exception, match="3 tries failed; the last one: ") as raised:
        failed.result(WAIT_SECONDS)
    assert type(raised.value).__name__ == "NotDecoded"
    assert done.result(WAIT_SECONDS)[0] is good
    assert sum(unit is bad for unit in cluster.decoded) == 3 and cluster.n_loaded >= n_loaded


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (RayError("no head"), "The Ray cluster cannot be reached any more: .*no head"),
        (TypeError("cannot be pickled"), "Units cannot be handed out any more: .*cannot be pickled"),
    ],
    ids=["cluster", "other"],
)
def test_a_unit_that_cannot_be_sent_fails_and_is_not_waited_for(
    cluster: Cluster, error: Exception, sentence: str
) -> None:
    def send() -> None:
        raise error

    cluster.send = send
    with pytest.raises(Exception, match=sentence):
        submit(cluster, Unit([[]], [[]])).result(WAIT_SECONDS)
