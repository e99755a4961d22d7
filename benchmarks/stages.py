"""Where a step's time goes: mel, conv, encoder, prefill, verify, generate; and a trace that a browser draws.

MLX computes when a result is asked for. Here each stage asks for its own, so that its time is its own; what is left of
a step is the host's work. `watched` puts the clocks in place and takes them away again.
"""

import json
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from livecap.model.audio_encoder import AudioEncoder
from livecap.model.backend import mx
from livecap.model.qwen3_asr import Qwen3ASR
from livecap.stream import recogniser, windows
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
    """Frames, tokens or positions that went in."""


@dataclass(frozen=True, slots=True)
class Decode:
    """One decode, and the memory after it."""

    start: float
    seconds: float
    n_tokens: int
    n_accepted: int
    n_passes: int
    resident_mb: float


@dataclass
class Stages:
    """Sums over a run, the shapes that came by, and, where they are kept, all spans."""

    keeps_spans: bool = False
    """An hour has a hundred thousand: kept only where somebody draws them, or they would be the memory that grows."""
    spans: list[Span] = field(default_factory=list)
    stage_seconds: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    calls: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    sizes: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    """Frames, tokens or positions that went in, together."""
    shapes: dict[str, set[tuple[int, ...]]] = field(default_factory=lambda: defaultdict(set))
    decodes: list[Decode] = field(default_factory=list)
    in_prompt: bool = False
    """The prompt is being prefilled: what runs now is no generation."""

    def timed(self, stage: str, size: int, shape: tuple[int, ...], work: Callable[[], mx.array]) -> mx.array:
        """What `work` returns, computed to its end, as a span of `stage`."""
        start = time.perf_counter()
        result = work()
        mx.eval(result)
        seconds = time.perf_counter() - start
        self.stage_seconds[stage] += seconds
        self.calls[stage] += 1
        self.sizes[stage] += size
        self.shapes[stage].add(shape)
        if self.keeps_spans:
            self.spans.append(Span(stage, start, seconds, size))
        return result

    def seconds(self, stage: str) -> float:
        """Of all calls together; "host" is what no other stage accounts for."""
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


@contextmanager
def watched(keeps_spans: bool = False) -> Iterator[Stages]:
    """Clocks around the model's parts, for as long as the context is open. One at a time."""
    stages = Stages(keeps_spans)
    forward, logits = Qwen3ASR.__call__, Qwen3ASR.logits
    conv, encode = AudioEncoder.conv_tokens, AudioEncoder.windows
    decode = ModelRecogniser.decode
    # What these two files import from the model: their names there are what is called.
    mel, verify = vars(windows)["log_mel_slice"], vars(recogniser)["verify"]

    def watched_forward(self: Qwen3ASR, embeddings: mx.array, cache: Any, n_last: int | None = None) -> mx.array:
        n = embeddings.shape[1]
        stage = "prefill" if stages.in_prompt else "verify" if n > 1 else "generate"
        return stages.timed(stage, n, (n,), lambda: forward(self, embeddings, cache, n_last))

    def watched_logits(self: Qwen3ASR, hidden: mx.array) -> mx.array:
        n = hidden.shape[0] if hidden.ndim > 1 else 1
        stage = "verify" if n > 1 else "prefill" if stages.in_prompt else "generate"
        return stages.timed(stage, 0, (n, 0), lambda: logits(self, hidden))

    def watched_conv(self: AudioEncoder, mel: mx.array, pad_tail: bool = False) -> mx.array:
        return stages.timed("conv", mel.shape[0], mel.shape, lambda: conv(self, mel, pad_tail))

    def watched_encode(self: AudioEncoder, tokens: mx.array) -> mx.array:
        return stages.timed("encoder", tokens.shape[0], tokens.shape, lambda: encode(self, tokens))

    def watched_mel(samples: Any, start_frame: int, stop_frame: int) -> mx.array:
        n = stop_frame - start_frame
        return stages.timed("mel", n, (n,), lambda: mel(samples, start_frame, stop_frame))

    def watched_verify(*arguments: Any) -> Any:
        stages.in_prompt = True
        try:
            return verify(*arguments)
        finally:
            stages.in_prompt = False

    def watched_decode(self: ModelRecogniser, *arguments: Any, **named: Any) -> Decoded:
        start = time.perf_counter()
        decoded = decode(self, *arguments, **named)
        seconds = time.perf_counter() - start
        n_tokens = len(decoded.ids)
        memory_mb = resident_bytes() / 1e6
        stages.decodes.append(Decode(start, seconds, n_tokens, decoded.n_accepted, decoded.n_passes, memory_mb))
        return decoded

    places: list[tuple[Any, str, Any, Any]] = [
        (Qwen3ASR, "__call__", forward, watched_forward),
        (Qwen3ASR, "logits", logits, watched_logits),
        (AudioEncoder, "conv_tokens", conv, watched_conv),
        (AudioEncoder, "windows", encode, watched_encode),
        (windows, "log_mel_slice", mel, watched_mel),
        (recogniser, "verify", verify, watched_verify),
        (ModelRecogniser, "decode", decode, watched_decode),
    ]
    for owner, name, _, replacement in places:
        setattr(owner, name, replacement)
    try:
        yield stages
    finally:
        for owner, name, original, _ in places:
            setattr(owner, name, original)
