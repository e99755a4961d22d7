"""The time of each stage of a step: mel, conv, encoder, prefill, verify, generate; and a trace for a browser.

MLX computes when a result is read. `WatchedNetwork` reads the result of each stage at once, so that each stage is
measured on its own; the rest of a step is the host's work.
"""

import json
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, cast

from livecap.model.backend import mx
from livecap.model.cache import PromptCache
from livecap.model.checkpoint.load import LoadedModel
from livecap.model.mel import HOP_LENGTH
from livecap.model.network import Network
from livecap.stream.config import StreamConfig
from livecap.stream.recogniser import Decoded, ModelRecogniser
from livecap.this_machine import resident_bytes

STAGES = ("mel", "conv", "encoder", "prefill", "verify", "generate", "host")


@dataclass(frozen=True, slots=True)
class Span:
    """One call of a stage."""

    stage: str
    start: float
    seconds: float
    size: int
    """The number of frames, tokens or positions of the input."""


@dataclass(frozen=True, slots=True)
class Decode:
    """One decode, and the resident memory after it."""

    start: float
    seconds: float
    n_tokens: int
    n_accepted: int
    n_passes: int
    resident_mb: float


@dataclass
class Stages:
    """Sums over a run, the distinct tensor shapes and, where they are kept, all spans."""

    keeps_spans: bool = False
    """Whether to keep spans, for a trace. An hour has a hundred thousand, which would show as growing memory."""
    spans: list[Span] = field(default_factory=list)
    stage_seconds: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    calls: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    sizes: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    """The total number of frames, tokens or positions of each stage's input."""
    shapes: dict[str, set[tuple[int, ...]]] = field(default_factory=lambda: defaultdict(set))
    decodes: list[Decode] = field(default_factory=list)
    in_prompt: bool = False
    """Whether the prompt is being prefilled: from the start of a decode to its first logits."""
    clock: Callable[[], float] = time.perf_counter
    """The clock of `timed`, in seconds."""

    def timed(self, stage: str, size: int, shape: tuple[int, ...], work: Callable[[], mx.array]) -> mx.array:
        """The result of `work`, computed completely and timed as a call of `stage`."""
        start = self.clock()
        result = work()
        mx.eval(result)
        self.add(stage, start, self.clock() - start, size, shape)
        return result

    def add(self, stage: str, start: float, seconds: float, size: int, shape: tuple[int, ...]) -> None:
        """Count a call of `stage`."""
        self.stage_seconds[stage] += seconds
        self.calls[stage] += 1
        self.sizes[stage] += size
        self.shapes[stage].add(shape)
        if self.keeps_spans:
            self.spans.append(Span(stage, start, seconds, size))

    def decoder_stage(self, n_positions: int) -> str:
        """The stage of a decoder pass over that many positions."""
        return "prefill" if self.in_prompt else "verify" if n_positions > 1 else "generate"

    def seconds(self, stage: str) -> float:
        """The total time of a stage; "host" is the time of all decodes that no other stage accounts for."""
        if stage == "host":
            return sum(decode.seconds for decode in self.decodes) - sum(self.stage_seconds.values())
        return self.stage_seconds.get(stage, 0.0)

    def trace(self) -> str:
        """All spans in Chrome's trace format: open it in `chrome://tracing` or ui.perfetto.dev."""
        first = min([d.start for d in self.decodes] + [span.start for span in self.spans], default=0.0)
        events: list[dict[str, Any]] = [
            _event("decode", d.start - first, d.seconds, 1, accepted=d.n_accepted, passes=d.n_passes, tokens=d.n_tokens)
            for d in self.decodes
        ]
        events += [_event(span.stage, span.start - first, span.seconds, 2, size=span.size) for span in self.spans]
        events += [
            {"name": "memory", "ph": "C", "ts": round((d.start - first) * 1e6), "pid": 1, "args": {"MB": d.resident_mb}}
            for d in self.decodes
        ]
        names = [
            {"name": "thread_name", "ph": "M", "pid": 1, "tid": tid, "args": {"name": name}}
            for tid, name in ((1, "decodes"), (2, "stages"))
        ]
        return json.dumps({"traceEvents": names + events, "displayTimeUnit": "ms"}) + "\n"


def _event(name: str, start: float, seconds: float, thread: int, **arguments: int) -> dict[str, Any]:
    times = {"ts": round(start * 1e6), "dur": round(seconds * 1e6)}
    return {"name": name, "ph": "X", **times, "pid": 1, "tid": thread, "args": arguments}


class WatchedNetwork:
    """A `Network` that computes each result at once and adds its time to the stages; all else is the network's."""

    def __init__(self, network: Network, stages: Stages) -> None:
        self._network = network
        self._stages = stages

    def __getattr__(self, name: str) -> Any:
        return getattr(self._network, name)

    def convolve(self, blocks: mx.array) -> mx.array:
        n_frames = blocks.shape[0] * blocks.shape[1]
        return self._stages.timed("conv", n_frames, blocks.shape, lambda: self._network.convolve(blocks))

    def encode(self, tokens: mx.array) -> mx.array:
        return self._stages.timed("encoder", tokens.shape[0], tokens.shape, lambda: self._network.encode(tokens))

    def __call__(self, embeddings: mx.array, cache: PromptCache, n_last: int | None = None) -> mx.array:
        n = embeddings.shape[1]
        stage = self._stages.decoder_stage(n)
        return self._stages.timed(stage, n, (n,), lambda: self._network(embeddings, cache, n_last))

    def logits(self, hidden: mx.array, rows: slice = slice(None)) -> mx.array:
        n = hidden.shape[0] if hidden.ndim > 1 else 1
        stage = "verify" if n > 1 else self._stages.decoder_stage(n)
        logits = self._stages.timed(stage, 0, (n, 0), lambda: self._network.logits(hidden, rows))
        self._stages.in_prompt = False
        return logits


class WatchedRecogniser(ModelRecogniser):
    """A recogniser whose decodes and stages are measured."""

    def __init__(self, loaded: LoadedModel, config: StreamConfig, stages: Stages) -> None:
        super().__init__(replace(loaded, model=cast(Network, WatchedNetwork(loaded.model, stages))), "", None, config)
        self._stages = stages
        self._mel_until = 0
        """The end of the sound whose mel frames this prompt has computed."""

    def begin(self, start_sample: int) -> None:
        self._mel_until = start_sample
        super().begin(start_sample)

    def decode(self, *arguments: Any, **named: Any) -> Decoded:
        stages = self._stages
        n_frames = (self.end_sample - self._mel_until) // HOP_LENGTH
        self._mel_until = self.end_sample
        stages.in_prompt = True
        start = time.perf_counter()
        decoded = super().decode(*arguments, **named)
        seconds = time.perf_counter() - start
        stages.add("mel", start, decoded.seconds.mel, n_frames, (n_frames,))
        n_tokens, memory_mb = len(decoded.ids), resident_bytes() / 1e6
        stages.decodes.append(Decode(start, seconds, n_tokens, decoded.n_accepted, decoded.n_passes, memory_mb))
        return decoded
