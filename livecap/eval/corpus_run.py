"""A data set through a model, offline and through the stream, as error rates by language.

Each finished recording is a line in a file of results, so that a run that was stopped goes on where it was, and nothing
is measured twice under the same conditions.
"""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from livecap.audio_in.recording import Recording
from livecap.engine import EngineSettings
from livecap.errors import AudioError, LogError
from livecap.eval.alignment import edit_distance
from livecap.eval.corpus import Item
from livecap.eval.evaluation import engine_of
from livecap.eval.figures import rate_and_interval
from livecap.eval.measurement import texts_of
from livecap.eval.modes import parse_modes
from livecap.eval.offline import offline_text
from livecap.eval.processes import results_of
from livecap.eval.provenance import is_changed, machine
from livecap.eval.timeline import play
from livecap.eval.wer import ErrorCounts, count_errors, normalise
from livecap.files import make_folder
from livecap.model.checkpoint.find import resolve
from livecap.model.checkpoint.weight_files import weight_files
from livecap.text.safety import json_text
from livecap.transcript import SAMPLE_RATE

BY_CHARACTER = ("Chinese", "Cantonese", "Japanese", "Thai")
"""Languages written without spaces: their rate counts characters, as published figures do."""
OFFLINE = "offline"
Counts = dict[str, list[int]]
"""`offline`, and for each mode `MODE stable` and `MODE final`, to [units, errors]: words, or characters."""


@dataclass(frozen=True)
class CorpusPlan:
    """What is to be measured, and how."""

    model: str
    modes: tuple[str, ...]
    """As `modes.parse_mode` reads them."""
    step_cost: float | None = None
    """Seconds that a step is assumed to cost; None measures the cost."""
    offline: bool = True
    tell_language: bool = False
    """Tell the model the language of each recording; otherwise it names the language itself."""
    jobs: int = 1
    """Processes; each takes one recording at a time."""
    dtype: str = "auto"
    """The data type to compute in, as in `EngineSettings`."""


def measure_corpus(
    plan: CorpusPlan, items: Sequence[Item], results: Path, on_done: Callable[[str], None] = lambda name: None
) -> dict[str, Any]:
    """The error rates of all recordings as plain values.

    Args:
        results: the file of finished recordings; those of an earlier run under the same conditions count, unless the
            package has changes that are in no commit: nothing tells these from others.
        on_done: called with the name of each recording, finished before or now.

    Raises:
        LivecapError: a recording, mode or model is missing or invalid, or the file cannot be written.
    """
    parse_modes(plan.modes, plan.step_cost)
    conditions = machine()
    done = {} if is_changed(conditions["commit"]) else _read_results(results)
    keys = [_key(plan, item, conditions) for item in items]
    missing = [(key, item) for key, item in zip(keys, items, strict=True) if key not in done]
    for item, key in zip(items, keys, strict=True):
        if key in done:
            on_done(item.name)
    if missing:
        try:
            make_folder(results.parent)
            measured = results_of(partial(_measure, plan), [item for _, item in missing], plan.jobs)
            with results.open("a", encoding="utf-8") as file, measured as found:
                if results.stat().st_size and not results.read_bytes().endswith(b"\n"):
                    file.write("\n")  # a run was killed while it wrote a line
                for (key, item), values in zip(missing, found, strict=True):
                    done[key] = values
                    file.write(json_text({"key": key} | values) + "\n")
                    file.flush()
                    on_done(item.name)
        except OSError as error:
            raise LogError(f"Cannot write {results}: {error.strerror}. Choose another file with --results.") from None
    rows = [done[key] for key in keys]
    return {
        "machine": conditions,
        "model": plan.model,
        "dtype": plan.dtype,
        "language_told": plan.tell_language,
        "measured_before": len(items) - len(missing),
        "results": str(results),
        "languages": [_summary(name, [row for row in rows if row["language"] == name]) for name in _languages(rows)],
        "all": _summary("all", rows),
        "recordings": rows,
    }


def _measure(plan: CorpusPlan, item: Item) -> dict[str, Any]:
    """One recording, offline and in every mode."""
    samples = samples_of(item)
    engine = engine_of(plan.model, plan.dtype)
    told = item.language if plan.tell_language and item.language else None
    settings = EngineSettings(plan.model, told, dtype=plan.dtype)
    engine.change(settings)
    texts: dict[str, str] = {}
    seconds: dict[str, float] = {}
    if plan.offline:
        began = perf_counter()
        texts[OFFLINE] = offline_text(engine, samples)
        seconds[OFFLINE] = perf_counter() - began
    for mode in parse_modes(plan.modes, plan.step_cost):
        engine.change(replace(settings, stream=mode.config))
        timeline = play(engine.transcriber(), samples, plan.step_cost)
        texts[f"{mode.name} stable"], texts[f"{mode.name} final"] = texts_of(timeline)
        seconds[mode.name] = timeline.compute_seconds
    return {
        "name": item.name,
        "language": item.language,
        "speaker": item.speaker,
        "sound_seconds": round(len(samples) / SAMPLE_RATE, 2),
        "compute_seconds": {name: round(spent, 3) for name, spent in seconds.items()},
        "reference": item.text,
        "texts": texts,
        "counts": {name: counted(item.language, item.text, heard) for name, heard in texts.items()},
    }


def counted(language: str, reference: str, heard: str) -> list[int]:
    """[units, errors] of a text: words, or characters in languages that are written without spaces."""
    if language in BY_CHARACTER:
        expected, said = "".join(normalise(reference)), "".join(normalise(heard))
        return [len(expected), edit_distance(expected, said)]
    errors: ErrorCounts = count_errors(reference, heard)
    return [errors.n_words, errors.word_errors]


def samples_of(item: Item) -> NDArray[np.float32]:
    """The sound of a recording, [n] float32 at 16 kHz mono, from any format that livecap reads.

    Raises:
        AudioError: it cannot be read.
    """
    recording = Recording(item.path)
    pieces = []
    try:
        while not recording.at_end:
            start = recording.read_samples
            recording.read_to(start + SAMPLE_RATE)
            pieces.append(recording.sound(start, recording.read_samples).copy())
            recording.forget(recording.read_samples)
    finally:
        recording.close()
    if recording.failure is not None:
        raise recording.failure
    samples = np.concatenate(pieces) if pieces else np.zeros(0, np.float32)
    first = round(item.start_seconds * SAMPLE_RATE)
    last = len(samples) if item.seconds is None else first + round(item.seconds * SAMPLE_RATE)
    if first >= len(samples):
        raise AudioError(f"Cannot measure {item.path}: it has no sound at {item.start_seconds:g} s.")
    return samples[first:last]


def _key(plan: CorpusPlan, item: Item, conditions: Mapping[str, Any]) -> str:
    """What decides the result of a recording: its sound, its text, the model, the settings, the version and, since it
    takes time, the processor."""
    stat = item.path.stat()
    said = [str(item.path.resolve()), stat.st_size, stat.st_mtime_ns, item.start_seconds, item.seconds]
    said += [item.text, item.language, *(conditions[name] for name in ("livecap", "commit", "processor"))]
    said += [_weights(plan.model)]
    said += [plan.model, plan.modes, plan.step_cost, plan.offline, plan.tell_language, plan.dtype]
    return hashlib.sha256(json.dumps(said).encode()).hexdigest()[:32]


@cache
def _weights(model: str) -> list[tuple[int, int]]:
    """Size and time of the last change of a model's weight files: a model of the same name may be another one."""
    return [(path.stat().st_size, path.stat().st_mtime_ns) for path in weight_files(resolve(model))]


def _read_results(path: Path) -> dict[str, dict[str, Any]]:
    """The finished recordings by key. A line that a kill cut off is left out."""
    found: dict[str, dict[str, Any]] = {}
    try:
        lines = path.read_bytes().splitlines()
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise LogError(f"Cannot read {path}: {error.strerror}. Choose another file with --results.") from None
    for line in lines:
        try:
            entry = json.loads(line)
            found[entry.pop("key")] = entry
        except (ValueError, KeyError, AttributeError, TypeError):
            continue
    return found


def _languages(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    return sorted({row["language"] for row in rows})


def _summary(name: str, rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The rates of these recordings, each with a 95% interval from resampled speakers."""
    texts = dict.fromkeys(text for row in rows for text in row["counts"])
    spent = dict.fromkeys(mode for row in rows for mode in row["compute_seconds"])
    sound = sum(row["sound_seconds"] for row in rows)
    units = sorted({"characters" if row["language"] in BY_CHARACTER else "words" for row in rows})
    return {
        "language": name or "not named",
        "unit": " and ".join(units),
        "recordings": len(rows),
        "speakers": len({(row["language"], row["speaker"]) for row in rows}),
        "sound_seconds": round(sound, 1),
        "units": sum(next(iter(row["counts"].values()))[0] for row in rows),
        "error_rate": {text: _rate(rows, text) for text in texts},
        "rtf": {
            mode: round(sum(row["compute_seconds"].get(mode, 0.0) for row in rows) / max(sound, 1e-9), 4)
            for mode in spent
        },
    }


def _share(compute_seconds: float, sound_seconds: float) -> float:
    return round(compute_seconds / max(sound_seconds, 1e-9), 4)


def _rate(rows: Sequence[Mapping[str, Any]], text: str) -> dict[str, float]:
    """The error rate of a text, and the 95% interval over speakers drawn with replacement."""
    speakers: dict[tuple[str, str], list[int]] = {}
    for row in rows:
        units, errors = row["counts"][text]
        sums = speakers.setdefault((row["language"], row["speaker"]), [0, 0])
        sums[0] += units
        sums[1] += errors
    rate, low, high = rate_and_interval([(units, errors) for units, errors in speakers.values()])
    return {"rate": round(rate, 4), "low": round(low, 4), "high": round(high, 4)}


def corpus_table(result: Mapping[str, Any]) -> str:
    """The rates as a table: a row for each language, a column for each text."""
    rows = [*result["languages"]] + ([result["all"]] if len(result["languages"]) > 1 else [])
    texts = list(result["all"]["error_rate"])
    width = max(12, *(len(row["language"]) for row in rows))
    unit = max(len(row["unit"]) for row in rows)
    head = f"{'language':{width}}  {'recordings':>10}  {'speakers':>8}  {'minutes':>7}  {'unit':{unit}}"
    lines = [head + "".join(f"  {text:>22}" for text in texts)]
    for row in rows:
        line = f"{row['language']:{width}}  {row['recordings']:>10}  {row['speakers']:>8}"
        line += f"  {row['sound_seconds'] / 60:>7.1f}  {row['unit']:{unit}}"
        for text in texts:
            rate = row["error_rate"][text]
            interval = f"{rate['rate']:.2%} ({rate['low']:.1%}-{rate['high']:.1%})"
            line += f"  {interval:>22}"
        lines.append(line)
    speed = ", ".join(f"{mode} {value:.3f}" for mode, value in result["all"]["rtf"].items())
    return "\n".join([*lines, "", f"compute seconds per second of sound: {speed}"])
