"""RayPool: engines on the machines of a Ray cluster, which decode units of recordings that this process reads.

    recordings ─▶ Transcriber (a thread each) ─▶ units ─▶ RayPool (a thread) ─▶ actors ─▶ segments ─▶ files

One actor holds one model, on a machine that offers the resource `livecap`. This process reads and cuts the recordings
and writes the outputs, so the machines need no common disk, and every text is the one of a run without Ray (in half
precision except at ties).
"""

import logging
import os
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from concurrent.futures import TimeoutError as NotYet
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import ray
from ray.exceptions import RayActorError, RayError, RayTaskError

from livecap.engine import Engine, EngineSettings
from livecap.errors import LivecapError, ModelError, SettingsError, one_line
from livecap.text.safety import printable
from livecap.transcribe.decoding import DecodingOptions
from livecap.transcribe.units import Here, Result, Stopped, Unit
from livecap.transcribe.weights import weights_digest
from livecap.version import VERSION

RESOURCE = "livecap"
"""What a machine of the cluster offers, once for each model that it can hold."""
START = f"""ray start --address=HEAD:6379 --resources='{{"{RESOURCE}": 1}}'"""
PIECES_PER_UNIT = 36
"""Ten minutes of pieces of 16 s."""
MOST_TRIES = 3
"""How often a unit is decoded until its recording counts as failed."""
UNITS_PER_WORKER = 2
"""One that is decoded, and one that is on its way meanwhile."""
MOST_LOST = 5
"""Workers in a row that may end before one has decoded anything."""
POLL_SECONDS = 0.2
REACH_SECONDS = 10.0
"""The longest wait for an answer of the cluster's head."""
GROW_SECONDS = 1.0
"""How often the pool looks for machines that have joined."""

logger = logging.getLogger(__name__)


class NotDecoded(LivecapError):
    """Sound could not be decoded in several tries."""


@dataclass(slots=True)
class _Job:
    """A unit and what is asked of it."""

    unit: Unit
    settings: EngineSettings
    options: DecodingOptions
    result: "Future[list[Result]]" = field(default_factory=Future)
    n_tries: int = 0


class _Worker:
    """The actor: one engine in a process of its own. Ray calls it on one thread."""

    def __init__(self) -> None:
        self._engine: Engine | None = None

    def load(self, settings: EngineSettings) -> tuple[str, str, str]:
        """(host, version of livecap, digest of the weights) after loading the model."""
        self._engine = Engine.load(settings)
        return socket.gethostname(), VERSION, weights_digest(self._engine.loaded.path)

    def decode(self, unit: Unit, settings: EngineSettings, options: DecodingOptions) -> list[Result]:
        """The result of each batch of a unit."""
        assert self._engine is not None
        if self._engine.settings != settings:
            self._engine.change(settings)
        return list(Here(self._engine).begin(unit, options, lambda: False))


class RayPool:
    """The engines of a cluster. Machines may join and leave while it works."""

    def __init__(self, address: str, settings: EngineSettings, weights: str, tell: Callable[[str], None]) -> None:
        """
        Args:
            address: of the cluster's head, or "auto" for the one on this machine.
            weights: the digest that the model must have on every machine.
            tell: gets sentences about machines that join and leave, on a thread of the pool.

        Raises:
            SettingsError: there is no such cluster, or no machine of it offers the resource.
        """
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing leaves the machines
        try:
            _reach(address)
            ray.init(address=address, logging_level=logging.ERROR, log_to_driver=False)
        except (RuntimeError, ValueError, OSError) as error:
            where = "on this machine" if address == "auto" else f"at {address}"
            raise SettingsError(
                f"There is no Ray cluster {where} ({_reason(error)}). Start one with: "
                f"ray start --head --resources='{{\"{RESOURCE}\": 1}}'"
            ) from None
        if not self._slots():
            ray.shutdown()
            raise SettingsError(f"No machine of the Ray cluster offers the resource {RESOURCE}. On each: {START}")
        self._settings, self._weights, self._tell = settings, weights, tell
        self._lock = threading.Condition()
        self._waiting: deque[_Job] = deque()
        self._n_open = 0
        """Jobs without a result."""
        self._workers: dict[Any, list[_Job]] = {}
        """Each actor that has its model, with its jobs."""
        self._refs: dict[Any, tuple[Any, _Job | None]] = {}
        """What runs on the cluster: its actor, and its job, or None while the model is loaded."""
        self._n_lost = 0
        self._failure: LivecapError | None = None
        self._is_closed = False
        self._grown = 0.0
        self._thread = threading.Thread(target=self._work, name="ray pool", daemon=True)
        self._thread.start()

    @property
    def n_machines(self) -> int:
        """How many models the cluster can hold now."""
        return max(1, self._slots())

    def submit(
        self, unit: Unit, settings: EngineSettings, options: DecodingOptions, is_stopped: Callable[[], bool]
    ) -> "Future[list[Result]]":
        """Hand a unit over; waits while the machines have enough to do.

        Raises:
            Stopped: `is_stopped` returned True.
        """
        job = _Job(unit, settings, options)
        with self._lock:
            while self._n_open > UNITS_PER_WORKER * max(1, len(self._workers)) + 1 and self._failure is None:
                if is_stopped():
                    raise Stopped("Stopped.")
                self._lock.wait(POLL_SECONDS)
            self._waiting.append(job)
            self._n_open += 1
        return job.result

    def close(self) -> None:
        """End the engines, and leave the cluster."""
        with self._lock:
            self._is_closed = True
        self._thread.join()
        ray.shutdown()

    def _work(self) -> None:
        """The pool's thread: starts engines, hands jobs out and takes results until the pool is closed."""
        while not self._is_closed:
            try:
                self._grow()
                self._hand_out()
                done = ray.wait(list(self._refs), timeout=POLL_SECONDS)[0] if self._refs else []
                if not self._refs:
                    time.sleep(POLL_SECONDS)
                for ref in done:
                    self._take(ref)
            except RayError as error:  # the cluster itself has gone
                self._fail(NotDecoded(f"The Ray cluster cannot be reached any more: {_reason(error)}"))
            except Exception as error:  # otherwise every unit would wait for a thread that has ended
                self._fail(NotDecoded(f"Units cannot be handed out any more: {_reason(error)}"))
        for actor in [*self._workers, *(actor for actor, job in self._refs.values() if job is None)]:
            _kill(actor)

    def _slots(self) -> int:
        return int(ray.cluster_resources().get(RESOURCE, 0))

    def _grow(self) -> None:
        """Start an engine on each machine that has none."""
        if time.monotonic() - self._grown < GROW_SECONDS or self._failure is not None:
            return
        self._grown = time.monotonic()
        n = len(self._workers) + sum(job is None for _, job in self._refs.values())
        for _ in range(self._slots() - n):
            actor = ray.remote(_Worker).options(num_cpus=0, resources={RESOURCE: 1}, max_restarts=0).remote()
            self._refs[actor.load.remote(self._settings)] = (actor, None)

    def _hand_out(self) -> None:
        while self._failure is not None and self._waiting:
            self._end(self._waiting.popleft(), self._failure)
        for n in range(1, UNITS_PER_WORKER + 1):  # each has one before any has two
            for actor, jobs in self._workers.items():
                if len(jobs) < n and self._waiting:
                    job = self._waiting.popleft()
                    job.n_tries += 1
                    jobs.append(job)
                    self._refs[actor.decode.remote(job.unit, job.settings, job.options)] = (actor, job)

    def _take(self, ref: Any) -> None:
        """Take what an actor returned, or find out that it has ended."""
        actor, job = self._refs.pop(ref)
        try:
            found = ray.get(ref)
        except RayTaskError as error:
            cause = error.cause if isinstance(error.cause, Exception) else error
            if job is None:
                self._fail(cause if isinstance(cause, ModelError) else ModelError(_reason(cause)))
                return
            self._workers[actor].remove(job)
            if isinstance(cause, LivecapError):
                self._end(job, cause)
            else:
                self._again(job, _reason(cause))
        except RayError as error:
            self._lost(actor, job, "a worker ended" if isinstance(error, RayActorError) else _reason(error))
        else:
            if job is None:
                self._join(actor, *found)
            else:
                self._n_lost = 0
                self._workers[actor].remove(job)
                self._end(job, found)

    def _join(self, actor: Any, host: str, version: str, weights: str) -> None:
        """An actor has its model, which must be the same as everywhere."""
        if (version, weights) == (VERSION, self._weights):
            self._workers[actor] = []
            n = len(self._workers)
            self._tell(f"{host} has loaded the model; {n} {'engine' if n == 1 else 'engines'} in all.")
            return
        ray.kill(actor)
        what = f"livecap {version} instead of {VERSION}" if version != VERSION else "other weights of the model"
        self._fail(ModelError(f"{host} has {what}. Every machine must have the same."))

    def _lost(self, actor: Any, job: _Job | None, reason: str) -> None:
        """An actor has ended. Its jobs wait for another one."""
        self._n_lost += 1
        logger.info("an actor was lost: %s", printable(reason))
        if job is not None:
            self._again(job, reason)
        for other in self._workers.pop(actor, []):
            if other is not job:
                other.n_tries -= 1  # it may not have begun
                self._refs = {ref: held for ref, held in self._refs.items() if held[1] is not other}
                self._waiting.appendleft(other)
        if self._n_lost >= MOST_LOST:
            self._fail(NotDecoded(f"Workers of the Ray cluster end before they have decoded anything: {reason}."))

    def _again(self, job: _Job, reason: str) -> None:
        if job.n_tries < MOST_TRIES:
            self._waiting.appendleft(job)
        else:
            self._end(job, NotDecoded(f"{job.n_tries} tries failed; the last one: {reason}."))

    def _fail(self, failure: LivecapError) -> None:
        """Nothing more can be decoded."""
        self._failure = self._failure or failure
        for jobs in self._workers.values():
            while jobs:
                self._end(jobs.pop(), self._failure)
        for actor, job in self._refs.values():
            if job is None:
                _kill(actor)
        self._refs.clear()

    def _end(self, job: _Job, found: "list[Result] | LivecapError") -> None:
        with self._lock:
            self._n_open -= 1
            self._lock.notify_all()
        if isinstance(found, LivecapError):
            job.result.set_exception(found)
        else:
            job.result.set_result(found)


class Elsewhere:
    """Decodes on the machines of a pool; see `Decodes`. Any thread may use it."""

    most_waiting = 1

    def __init__(self, pool: RayPool, settings: EngineSettings) -> None:
        self._pool = pool
        self.settings = settings

    def n_batches(self, batch: int) -> int:
        """See `Decodes`."""
        return max(1, PIECES_PER_UNIT // batch)

    def begin(self, unit: Unit, options: DecodingOptions, is_stopped: Callable[[], bool]) -> Iterator[Result]:
        """See `Decodes`. The unit is on its way when this returns."""
        return _results(self._pool.submit(unit, self.settings, options, is_stopped), is_stopped)

    def change(self, settings: EngineSettings) -> None:
        """See `Decodes`."""
        self.settings = settings

    def close(self) -> None:
        """See `Decodes`. The pool stays open."""


def _results(result: "Future[list[Result]]", is_stopped: Callable[[], bool]) -> Iterator[Result]:
    while True:
        try:
            found = result.result(POLL_SECONDS)
        except NotYet:
            if is_stopped():
                raise Stopped("Stopped.") from None
        else:
            yield from found
            return


def _kill(actor: Any) -> None:
    """End an actor, unless its cluster has gone: an error would end the pool's thread, and all would wait for it."""
    with suppress(Exception):
        ray.kill(actor)


def _reach(address: str) -> None:
    """Raise OSError or ValueError if nothing answers at an address; Ray would try for minutes."""
    if address == "auto":
        return
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not host or not port.isdecimal():
        raise ValueError("an address is auto or HOST:PORT")
    with socket.create_connection((host, int(port)), REACH_SECONDS):
        pass


def _reason(error: BaseException) -> str:
    return one_line(error)[:160]
