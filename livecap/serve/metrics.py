"""What /metrics tells, in the text format of Prometheus, version 0.0.4, and the middleware that counts requests."""

from collections import Counter
from collections.abc import Iterable, Iterator

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from livecap.serve.totals import LAG_BOUNDS
from livecap.serve.worker import Worker
from livecap.this_machine import peak_resident_bytes, resident_bytes

MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"
OK, REFUSED, FAILED, LEFT, STOPPED = "ok", "refused", "failed", "left", "stopped"
"""Outcomes of a request: answered, the fault of the client, of the server, the client did not wait for the end, or the
server stopped before it."""
PATHS = {
    "/v1/audio/transcriptions",
    "/v1/audio/translations",
    "/v1/models",
    "/v1/listen",
    "/v1/events",
    "/v1/realtime",
    "/transcribe",
    "/health",
    "/metrics",
}
NAMED_PATHS = {"/v1/models/": "/v1/models/NAME", "/jobs/": "/jobs/ID"}
"""Beginnings of paths that end in a name."""


class Requests:
    """Requests and connections so far, by path and outcome, on the event loop."""

    def __init__(self) -> None:
        self._counts: Counter[tuple[str, str]] = Counter()

    def count(self, path: str, outcome: str) -> None:
        """Count one. Paths that do not exist are one, whatever clients ask for."""
        named = next((name for start, name in NAMED_PATHS.items() if path.startswith(start)), "other")
        self._counts[path if path in PATHS else named, outcome] += 1

    def count_wyoming(self, outcome: str) -> None:
        """Count a connection of the Wyoming protocol."""
        self._counts["wyoming", outcome] += 1

    def samples(self) -> Iterator[tuple[str, float]]:
        """Labels and count."""
        for (path, outcome), count in sorted(self._counts.items()):
            yield f'{{path="{path}",outcome="{outcome}"}}', count


class Counted:
    """Middleware that counts requests by their outcome."""

    def __init__(self, app: ASGIApp, requests: Requests) -> None:
        self._app, self._requests = app, requests

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        begun = outcome = LEFT  # until the answer is whole

        async def sent(message: Message) -> None:
            nonlocal begun, outcome
            kind = message["type"].removeprefix("websocket.")  # which may be refused by a response
            if kind == "http.response.start":
                begun = outcome_of(message["status"])
            elif kind == "http.response.body" and not message.get("more_body"):
                outcome = begun
            elif kind == "close":
                outcome = _of_code(message.get("code", 1000))
            await send(message)

        try:
            await self._app(scope, receive, sent)
        except BaseException:
            outcome = FAILED
            raise
        finally:
            self._requests.count(scope["path"], outcome)


def outcome_of(status: int) -> str:
    """The outcome of an answer or of an error with this status."""
    if status in (499, 503):
        return LEFT if status == 499 else STOPPED
    return OK if status < 400 else REFUSED if status < 500 else FAILED


def _of_code(code: int) -> str:
    """The outcome of a WebSocket that the server closes."""
    return {1001: STOPPED, 1008: REFUSED, 1013: REFUSED, 1011: FAILED}.get(code, OK)


def metrics_text(worker: Worker, requests: Requests) -> str:
    """All metrics of a server."""
    return "".join(_lines(worker, requests))


def _lines(worker: Worker, requests: Requests) -> Iterator[str]:
    totals = worker.totals
    sound, busy = dict(totals.sound_seconds), dict(totals.busy_seconds)
    waiting = [stream.waiting_seconds for stream in worker.streams]
    yield from _family("livecap_streams", "gauge", "Live streams that are open.", [("", len(waiting))])
    yield from _family(
        "livecap_streams_waiting_seconds",
        "gauge",
        "Seconds of waiting sound, of all live streams.",
        [("", sum(waiting))],
    )
    most = max(waiting, default=0.0)
    yield from _family(
        "livecap_stream_waiting_seconds_max", "gauge", "Seconds of waiting sound, of the latest stream.", [("", most)]
    )
    lags = totals.lags
    bounds = zip([*map(str, LAG_BOUNDS), "+Inf"], lags, strict=True)
    yield from _family(
        "livecap_stream_lag_seconds",
        "histogram",
        "From the arrival of a piece of live sound until it was decoded.",
        [
            *((f'_bucket{{le="{bound}"}}', count) for bound, count in bounds),
            ("_sum", totals.lag_seconds),
            ("_count", lags[-1]),
        ],
    )
    yield from _family(
        "livecap_recordings_waiting", "gauge", "Recordings that wait or are transcribed.", [("", worker.n_waiting)]
    )
    yield from _family("livecap_sound_seconds_total", "counter", "Sound that was transcribed.", _by_kind(sound))
    yield from _family("livecap_busy_seconds_total", "counter", "Seconds that this took.", _by_kind(busy))
    factors = {kind: busy[kind] / sound[kind] for kind in sound if sound[kind]}
    yield from _family("livecap_real_time_factor", "gauge", "Compute seconds per second of sound.", _by_kind(factors))
    yield from _family(
        "livecap_requests_total", "counter", "Requests and connections that are over.", requests.samples()
    )
    yield from _family(
        "livecap_model_loaded", "gauge", "1 while the model is in memory.", [("", int(worker.engine is not None))]
    )
    yield from _family("livecap_memory_bytes", "gauge", "Resident memory of the server.", [("", resident_bytes())])
    yield from _family("livecap_memory_peak_bytes", "gauge", "Peak of that memory.", [("", peak_resident_bytes())])
    pools = [(f'{{pool="{name}"}}', size) for name, size in worker.memory.items()]
    yield from _family("livecap_model_memory_bytes", "gauge", "Memory that MLX holds, by pool.", pools)


def _by_kind(values: dict[str, float]) -> list[tuple[str, float]]:
    return [(f'{{kind="{kind}"}}', value) for kind, value in values.items()]


def _family(name: str, kind: str, about: str, samples: Iterable[tuple[str, float]]) -> Iterator[str]:
    """A metric with its samples.

    Args:
        samples: what follows the name, such as its labels, and the value.
    """
    yield f"# HELP {name} {about}\n# TYPE {name} {kind}\n"
    for rest, value in samples:
        yield f"{name}{rest} {round(value, 6)}\n"
