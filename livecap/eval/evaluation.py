"""A whole evaluation: every mode on every recording, in one process or several, as plain values."""

import sys
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

from livecap.engine import Engine, EngineSettings, Load, Recognises
from livecap.eval.figures import figures, seam_ratios, streaming_gap
from livecap.eval.measurement import Measurement, measure, total
from livecap.eval.modes import Mode, parse_modes
from livecap.eval.offline import offline_text
from livecap.eval.processes import results_of
from livecap.eval.provenance import machine
from livecap.eval.reference import Reference, read_reference
from livecap.text.printing import say


@dataclass(frozen=True)
class Plan:
    """What is to be measured, and how."""

    model: str
    modes: tuple[str, ...]
    """As `modes.parse_mode` reads them."""
    step_cost: float | None = None
    """Seconds that a step is assumed to cost; None measures the cost."""
    offline: bool = True
    """Also transcribe each recording offline, to compare with."""
    jobs: int = 1
    """Processes; each takes one recording at a time."""
    keep_words: bool = False
    """Keep every word with its times, for a plot."""
    dtype: str = "auto"
    """The data type to compute in, as in `EngineSettings`."""
    remote: str = ""
    """Host of the server that recognises, with `load`; "" is the model on this machine."""
    load: Load = Engine.load
    """Makes the engine of that server, in each process."""


def evaluate(
    plan: Plan, paths: Sequence[Path], on_done: Callable[[str], None] = lambda name: None
) -> tuple[dict[str, Any], list[Measurement]]:
    """The figures as plain values, and the measurement of every recording in every mode.

    Args:
        on_done: called with the name of each finished recording.

    Raises:
        LivecapError: a recording, mode or model is missing or invalid.
    """
    modes = parse_modes(plan.modes, plan.step_cost)
    for path in paths:
        read_reference(path)
    parts: list[Measurement] = []
    with results_of(partial(_measure_all_modes, plan), paths, plan.jobs) as by_recording:
        for path, measurements in zip(paths, by_recording, strict=True):
            parts += measurements
            on_done(path.stem)
    return _result(plan, modes, parts), parts


@cache
def engine_of(model: str, dtype: str) -> Engine:
    """The engine of this process, which stays loaded for its next recording."""
    return Engine.load(EngineSettings(model, dtype=dtype))


def _measure_all_modes(plan: Plan, path: Path) -> list[Measurement]:
    reference, settings = read_reference(path), EngineSettings(plan.model, dtype=plan.dtype, remote=plan.remote)
    if not plan.remote:
        return _measure_with(engine_of(plan.model, plan.dtype), plan, settings, reference)
    with closing(plan.load(settings, _tell)) as engine:
        return _measure_with(engine, plan, settings, reference)


def _tell(message: str) -> None:
    """What a server makes known, such as that it fails."""
    say(f"livecap: {message}", file=sys.stderr)


def _measure_with(engine: Recognises, plan: Plan, settings: EngineSettings, reference: Reference) -> list[Measurement]:
    engine.change(settings)
    offline = offline_text(engine, reference.samples) if plan.offline else None
    modes = parse_modes(plan.modes, plan.step_cost)
    measurements = [measure(engine, reference, mode, offline, plan.step_cost) for mode in modes]
    if not plan.keep_words:
        for measurement in measurements:
            measurement.words.clear()
    return measurements


def _result(plan: Plan, modes: Sequence[Mode], parts: Sequence[Measurement]) -> dict[str, Any]:
    columns = []
    for mode in modes:
        mine = [part for part in parts if part.mode == mode.name]
        columns.append(
            figures(total(mine)) | {"seams": seam_ratios(mine), "wer_gap": _gaps(mine), "settings": repr(mode.config)}
        )
    return {
        "machine": machine(),
        "model": plan.model,
        "dtype": plan.dtype,
        "remote": plan.remote or None,
        "step_cost_seconds": plan.step_cost,
        "all": columns,
        "recordings": [figures(part) | {"wer_gap": _gaps([part])} for part in parts],
    }


def _gaps(parts: Sequence[Measurement]) -> dict[str, dict[str, float]]:
    return {name: gap for name in ("stable", "final") if (gap := streaming_gap(parts, name)) is not None}
