"""What a model costs: every stage of every step, memory, shapes; with the error rate of the same run beside it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.machine_speed import Yardstick
from benchmarks.matmul_speed import arithmetic
from benchmarks.stages import STAGES, Stages, WatchedRecogniser
from livecap.eval.figures import percentiles
from livecap.eval.modes import Mode
from livecap.eval.provenance import machine
from livecap.eval.reference import Reference, SpokenWord
from livecap.eval.timeline import Timeline, play
from livecap.eval.wer import word_error_rate
from livecap.model.backend import mx
from livecap.model.checkpoint.load import LoadedModel
from livecap.stream.settling import Settling
from livecap.stream.transcriber import StreamingTranscriber
from livecap.this_machine import peak_resident_bytes, resident_bytes
from livecap.transcript import SAMPLE_RATE

STEPS_A_YARDSTICK = 4
"""Steps of a long run between two looks at how fast the machine is."""
PERIOD_SECONDS = 600
"""At least so much of the beginning and of the end of a long run is held against each other: the same sound."""


@dataclass(frozen=True)
class Run:
    """What was done, for whoever wants more than figures."""

    figures: dict[str, Any]
    stages: Stages
    timeline: Timeline


def measure_costs(
    loaded: LoadedModel,
    reference: Reference,
    mode: Mode,
    *,
    settle: bool = False,
    trace: bool = False,
    comes_round_seconds: float = PERIOD_SECONDS,
) -> Run:
    """The sound through the stream, as fast as it goes.

    Args:
        settle: closed utterances are heard again.
        trace: keep every span, for `write_trace`.
        comes_round_seconds: after so long the same sound comes again. Three such rounds and more, of ten minutes at
            least, say whether steps grow dearer.
    """
    mx.reset_peak_memory()
    stages = Stages(trace)
    recogniser = WatchedRecogniser(loaded, mode.config, stages)
    settling = Settling(WatchedRecogniser(loaded, mode.config, stages), mode.config) if settle else None
    transcriber = StreamingTranscriber(recogniser, loaded.tokenizer, mode.config, settling=settling)
    period = math.ceil(PERIOD_SECONDS / comes_round_seconds) * comes_round_seconds
    if reference.seconds < 3 * period:
        timeline = play(transcriber, reference.samples)
        return Run(_figures(reference, mode, stages, timeline) | {"growth": None}, stages, timeline)
    machine_costs: list[tuple[float, float]] = []
    n_steps = 0

    def look(heard_seconds: float) -> None:
        nonlocal n_steps
        n_steps += 1
        if n_steps % STEPS_A_YARDSTICK == 0:
            machine_costs.append((heard_seconds, yardstick.measure()))

    with Yardstick() as yardstick:
        timeline = play(transcriber, reference.samples, after_step=look)
    growth = _growth(timeline, stages, period, machine_costs)
    return Run(_figures(reference, mode, stages, timeline) | {"growth": growth}, stages, timeline)


def _figures(reference: Reference, mode: Mode, stages: Stages, timeline: Timeline) -> dict[str, Any]:
    sound = timeline.sound_seconds
    compute = timeline.compute_seconds
    text = " ".join(m.update.stable for m in timeline.moments if m.update.final and m.update.stable)
    tokens = [d.n_accepted + d.n_passes for d in stages.decodes]
    speech = sum(end - start for start, end in reference.stretches) / SAMPLE_RATE
    return {
        "recording": reference.name,
        "mode": mode.name,
        "sound_seconds": round(sound, 1),
        "speech_seconds": round(speech, 1),
        "wer": round(word_error_rate(reference.text, text), 4),
        "rtf": round(compute / sound, 4),
        "wait_share": round(max(0.0, 1 - compute / sound), 4),
        "steps": len(timeline.step_seconds),
        "step_seconds": percentiles(timeline.step_seconds),
        "stages": {
            stage: {
                "seconds": round(stages.seconds(stage), 3),
                "per_second_of_sound": round(stages.seconds(stage) / sound, 5),
                "calls": stages.calls.get(stage, 0),
                "size": stages.sizes.get(stage, 0),
            }
            for stage in STAGES
        },
        "tokens_per_step": {
            "said": _mean(tokens),
            "accepted": _mean([d.n_accepted for d in stages.decodes]),
            "passes": _mean([d.n_passes for d in stages.decodes]),
        },
        "distinct_shapes": {stage: len(shapes) for stage, shapes in sorted(stages.shapes.items())},
        "memory_mb": memory_mb(),
    }


def _growth(
    timeline: Timeline, stages: Stages, period: float, machine_costs: Sequence[tuple[float, float]]
) -> dict[str, float]:
    """The last `period` seconds against the first.

    Args:
        machine_costs: when, on the sound's clock, the yardstick was laid on, and what it said.
    """
    sound = timeline.sound_seconds
    at_of_step = {moment.step: moment.heard_seconds for moment in timeline.moments}
    costs = [(at_of_step[i], cost) for i, cost in enumerate(timeline.step_seconds) if i in at_of_step]

    def ratio(timed: Sequence[tuple[float, float]]) -> float:
        first = [cost for at, cost in timed if at < period]
        last = [cost for at, cost in timed if at >= sound - period]
        return float(np.mean(last) / np.mean(first))

    resident = [decode.resident_mb for decode in stages.decodes]
    n = max(1, round(len(resident) * period / sound))
    early, late = max(resident[:n], default=0.0), max(resident[-n:], default=0.0)
    steps, here = ratio(costs), ratio(machine_costs)
    return {
        "seconds_compared": round(period, 1),
        "measured_ratio": round(steps, 4),
        "machine_ratio": round(here, 4),
        "step_cost_ratio": round(steps / here, 4),
        "resident_mb": round(late - early),
    }


def memory_mb() -> dict[str, int]:
    """Megabytes of this process, and of MLX: used, and kept for reuse (`cache`). Peaks are since the start."""
    figures = {
        "resident": resident_bytes(),
        "mlx_active": mx.get_active_memory(),
        "mlx_cache": mx.get_cache_memory(),
        "resident_peak": peak_resident_bytes(),
        "mlx_peak": mx.get_peak_memory(),
    }
    return {name: round(n_bytes / 1e6) for name, n_bytes in figures.items()}


def _mean(values: Sequence[float]) -> float:
    return round(float(np.mean(values)), 4) if values else 0.0


def round_seconds(references: Sequence[Reference]) -> float:
    """How long `repeated` takes to come round."""
    return sum(len(reference.samples) / SAMPLE_RATE + 1 for reference in references)


def repeated(references: Sequence[Reference], seconds: float) -> Reference:
    """All recordings, over and over, a second apart, until so much sound has come."""
    pieces: list[Any] = []
    words: list[SpokenWord] = []
    texts: list[str] = []
    n = i = 0
    gap = np.zeros(SAMPLE_RATE, np.float32)
    while n < seconds * SAMPLE_RATE:
        reference = references[i % len(references)]
        pieces += [reference.samples, gap]
        texts.append(reference.text)
        words += [SpokenWord(w.text, w.start_sample + n, w.end_sample + n) for w in reference.words]
        n += len(reference.samples) + len(gap)
        i += 1
    name = references[0].name if len(references) == 1 and i == 1 else f"{i} recordings"
    return Reference(name, np.concatenate(pieces), " ".join(texts), tuple(words))


def beginning(reference: Reference, seconds: float) -> Reference:
    """The recording up to the end of the last stretch of speech that ends within so many seconds, and its pause."""
    most = round(seconds * SAMPLE_RATE)
    if len(reference.samples) <= most or not reference.words:
        return reference
    kept = [w for w in reference.words if w.end_sample < most - SAMPLE_RATE // 5] or list(reference.words[:1])
    after = reference.words[len(kept)].start_sample if len(kept) < len(reference.words) else most
    stop = max(kept[-1].end_sample, min(most, after))
    text = " ".join(w.text for w in kept)
    return Reference(reference.name, reference.samples[:stop], text, tuple(kept))


def report(model: str, runs: Sequence[Run]) -> dict[str, Any]:
    """Everything as plain values, with where it was measured and how fast that multiplies."""
    here = machine() | {"arithmetic": arithmetic()}
    return {"machine": here, "model": model, "runs": [run.figures for run in runs]}
