"""The cost of a model: time of every stage, memory and tensor shapes, with the error rate of the same run."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.machine_speed import MachineSpeed
from benchmarks.matmul_speed import matmul_speed
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

STEPS_PER_SPEED_CHECK = 4
"""How many steps of a long run are between two measurements of the machine's own speed."""
PERIOD_SECONDS = 600
"""The least length of the beginning and of the end of a long run that are compared; both have the same sound."""


@dataclass(frozen=True)
class Run:
    """The figures of one run, and what they were computed from."""

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
    repeat_seconds: float = PERIOD_SECONDS,
) -> Run:
    """Run a recording through the stream as fast as possible.

    Args:
        settle: run the second pass over closed utterances.
        trace: keep every span, for `Stages.trace`.
        repeat_seconds: the length after which the sound repeats. A run of at least three such periods, each of at
            least ten minutes, is also checked for steps that become more expensive.
    """
    mx.reset_peak_memory()
    stages = Stages(trace)
    recogniser = WatchedRecogniser(loaded, mode.config, stages)
    settling = Settling(WatchedRecogniser(loaded, mode.config, stages), mode.config) if settle else None
    transcriber = StreamingTranscriber(recogniser, loaded.tokenizer, mode.config, settling=settling)
    period = math.ceil(PERIOD_SECONDS / repeat_seconds) * repeat_seconds
    if reference.seconds < 3 * period:
        timeline = play(transcriber, reference.samples)
        return Run(_figures(reference, mode, stages, timeline) | {"growth": None}, stages, timeline)
    machine_costs: list[tuple[float, float]] = []
    n_steps = 0

    def measure_machine(heard_seconds: float) -> None:
        nonlocal n_steps
        n_steps += 1
        if n_steps % STEPS_PER_SPEED_CHECK == 0:
            machine_costs.append((heard_seconds, machine_speed.measure()))

    with MachineSpeed() as machine_speed:
        timeline = play(transcriber, reference.samples, after_step=measure_machine)
    compared = growth(timeline, stages, period, machine_costs)
    return Run(_figures(reference, mode, stages, timeline) | {"growth": compared}, stages, timeline)


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


def growth(
    timeline: Timeline, stages: Stages, period: float, machine_costs: Sequence[tuple[float, float]]
) -> dict[str, float]:
    """The last `period` seconds compared with the first.

    Args:
        machine_costs: (seconds of sound, measured cost) of each measurement of the machine's own speed.
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


def period_of(references: Sequence[Reference]) -> float:
    """The length after which `repeated` starts again."""
    return sum(len(reference.samples) / SAMPLE_RATE + 1 for reference in references)


def repeated(references: Sequence[Reference], seconds: float) -> Reference:
    """All recordings repeated, with a second of silence after each, up to at least this length."""
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
    """The first words of a recording that end within this time, and the pause after them."""
    most = round(seconds * SAMPLE_RATE)
    if len(reference.samples) <= most or not reference.words:
        return reference
    kept = [w for w in reference.words if w.end_sample < most - SAMPLE_RATE // 5] or list(reference.words[:1])
    after = reference.words[len(kept)].start_sample if len(kept) < len(reference.words) else most
    stop = max(kept[-1].end_sample, min(most, after))
    text = " ".join(w.text for w in kept)
    return Reference(reference.name, reference.samples[:stop], text, tuple(kept))


def report(model: str, runs: Sequence[Run]) -> dict[str, Any]:
    """All figures as plain values, with the machine and its speed of matrix products."""
    here = machine() | {"arithmetic": matmul_speed()}
    return {"machine": here, "model": model, "runs": [run.figures for run in runs]}
