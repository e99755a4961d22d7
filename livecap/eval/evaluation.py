"""A whole evaluation: modes times recordings, in one process or several, to plain values and the words behind them."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from livecap.eval.figures import figures, streaming_gap
from livecap.eval.measurement import Measured, measure, total
from livecap.eval.modes import Mode, parse_mode
from livecap.eval.provenance import machine
from livecap.eval.reference import read_reference
from livecap.model.checkpoint.load import LoadedModel, load
from livecap.transcribe.files import transcribe


@dataclass(frozen=True)
class Plan:
    """What is measured."""

    model: str
    modes: tuple[str, ...]
    """As `modes.parse_mode` reads them."""
    step_cost: float | None = None
    """Seconds that a step is taken to cost; None measures."""
    offline: bool = True
    jobs: int = 1
    keep_words: bool = False
    """Every word with its moments stays: for a plot."""


def evaluate(
    plan: Plan, paths: Sequence[Path], on_done: Callable[[str], None] = lambda name: None
) -> tuple[dict[str, Any], list[Measured]]:
    """The figures as plain values, and every recording in every mode.

    Args:
        on_done: told the name of each recording that is through.

    Raises:
        LivecapError: a recording, a mode or a model that is none.
    """
    modes = [parse_mode(text, plan.step_cost) for text in plan.modes]
    for path in paths:
        read_reference(path)
    parts: list[Measured] = []
    with _each(plan, paths) as found:
        for path, measured in zip(paths, found, strict=True):
            parts += measured
            on_done(path.stem)
    return _result(plan, modes, parts), parts


@contextmanager
def _each(plan: Plan, paths: Sequence[Path]) -> Iterator[Iterable[list[Measured]]]:
    """What comes of each recording, in order."""
    if plan.jobs == 1:
        yield map(partial(_recording, load(plan.model), plan), paths)
        return
    # Spawned, because MLX does not survive a fork.
    with ProcessPoolExecutor(plan.jobs, mp_context=get_context("spawn")) as pool:
        yield pool.map(partial(_alone, plan), paths)


def _alone(plan: Plan, path: Path) -> list[Measured]:
    """One recording, in a process that may do others before and after."""
    return _recording(_loaded(plan.model), plan, path)


_models: dict[str, LoadedModel] = {}
"""Of this process, so that it loads a model once."""


def _loaded(model: str) -> LoadedModel:
    if model not in _models:
        _models[model] = load(model)
    return _models[model]


def _recording(loaded: LoadedModel, plan: Plan, path: Path) -> list[Measured]:
    reference = read_reference(path)
    offline = transcribe(loaded, reference.samples) if plan.offline else None
    modes = [parse_mode(text, plan.step_cost) for text in plan.modes]
    measured = [measure(loaded, reference, mode, offline, plan.step_cost) for mode in modes]
    for part in measured if not plan.keep_words else []:
        part.words = []
    return measured


def _result(plan: Plan, modes: Sequence[Mode], parts: Sequence[Measured]) -> dict[str, Any]:
    columns = []
    for mode in modes:
        mine = [part for part in parts if part.mode == mode.name]
        gaps = {name: gap for name in ("stable", "final") if (gap := streaming_gap(mine, name)) is not None}
        columns.append(figures(total(mine)) | {"wer_gap": gaps, "settings": repr(mode.config)})
    return {
        "machine": machine(),
        "model": plan.model,
        "step_cost_seconds": plan.step_cost,
        "all": columns,
        "recordings": [figures(part) for part in parts],
    }
