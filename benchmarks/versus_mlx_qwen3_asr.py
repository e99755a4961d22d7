"""livecap against mlx-qwen3-asr: the same checkpoint, sound, precision and BLAS, one after the other.

    python -m venv other && other/bin/pip install mlx-qwen3-asr==0.4.4 "mlx[cpu]"
    python -m benchmarks.versus_mlx_qwen3_asr --python other/bin/python --checkpoint DIR RECORDING... --geometry 0.6b

Each program runs in its own process. Both compute in float32 on the CPU, with 2 s chunks. (The default of
mlx-qwen3-asr, float16, is slow there; comparing with it would not be fair.) With --batch, both transcribe one file,
which is all recordings with a second of silence after each; livecap decodes so many pieces of it together. Exit status
1 where a bound of --most is missed.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.batches import OPTIONS, references_of
from benchmarks.costs import measure_costs, memory_mb, period_of, repeated
from benchmarks.grown_checkpoint import load_grown, write_grown
from benchmarks.grown_weights import positions
from livecap.engine import Engine, EngineSettings
from livecap.errors import LivecapError, SettingsError
from livecap.eval.bounds import Bound, missed
from livecap.eval.modes import parse_mode
from livecap.eval.output import store_figures
from livecap.eval.provenance import machine
from livecap.eval.reference import Reference
from livecap.eval.wer import word_error_rate
from livecap.model.checkpoint.load import LoadedModel, load, read_config, resolve
from livecap.transcribe.recordings import Options, transcribe_samples
from livecap.transcript import SAMPLE_RATE

RUNNER = Path(__file__).with_name("run_mlx_qwen3_asr.py")
BATCH = "batch"
"""Begins the name of a measurement of files, which ends in the number of pieces."""
OURS = "ours"
"""The first argument of the process that measures livecap."""


def compare(
    reference: Reference, checkpoint: Path, model: str, geometry: str | None, python: Path, mode: str
) -> dict[str, Any]:
    """Run both programs on one sound: the figures of each, and the ratios of livecap to the other."""
    ours = _ours(reference, checkpoint, model, geometry, mode)
    return _row(reference, ours, _theirs(reference, checkpoint, model, geometry, python, chunk_of(mode)))


def compare_files(
    reference: Reference,
    checkpoint: Path,
    model: str,
    geometry: str | None,
    python: Path,
    batches: Sequence[int],
    kept: Path | None,
) -> Iterator[dict[str, Any]]:
    """The same for one sound as a file: a row for each number of pieces that livecap decodes together.

    Args:
        kept: a file that keeps the figures of the other program, and from which they are taken where it exists.
    """
    theirs = (
        json.loads(kept.read_text())
        if kept and kept.exists()
        else _theirs(reference, checkpoint, model, geometry, python, 0)
    )
    if kept and not kept.exists():
        store_figures(kept, theirs)
    for batch in batches:
        ours = _ours(reference, checkpoint, model, geometry, f"{BATCH} {batch}")
        yield _row(replace(reference, name=f"{BATCH} {batch}"), ours, theirs)


def chunk_of(mode: str) -> float:
    """The fixed chunk of a mode in seconds.

    Raises:
        SettingsError: the mode has none.
    """
    chunk = parse_mode(mode).config.chunk.chunk_seconds
    if chunk is None:
        raise SettingsError(f"Mode {mode!r} has no fixed chunk, which mlx-qwen3-asr needs: give a chunk such as 2.")
    return chunk


def _row(reference: Reference, ours: dict[str, Any], theirs: dict[str, Any]) -> dict[str, Any]:
    return {
        "recording": reference.name,
        "sound_seconds": round(reference.seconds, 1),
        "livecap": ours,
        "rival": theirs,
        "ratio": round(ours["rtf"] / theirs["rtf"], 4),
        "cpu_ratio": round(ours["cpu_seconds"] / theirs["cpu_seconds"], 4),
        "ratio_by_stage": {
            stage: round(ours["stages"].get(stage, 0.0) / seconds, 3)
            for stage, seconds in theirs["stages"].items()
            if seconds > 0.01
        },
    }


def _ours(reference: Reference, checkpoint: Path, model: str, geometry: str | None, mode: str) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="livecap.") as folder:
        sound = Path(folder) / "sound.npy"
        np.save(sound, reference.samples)
        name = [
            "-m",
            "benchmarks.versus_mlx_qwen3_asr",
            OURS,
            str(checkpoint),
            model,
            geometry or "-",
            str(sound),
            mode,
        ]
        found = _run([sys.executable, *name])
    return _figures(reference, found)


def _theirs(
    reference: Reference, checkpoint: Path, model: str, geometry: str | None, python: Path, chunk: float
) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="livecap.") as folder:
        sound, table = Path(folder) / "sound.npy", Path(folder) / "positions.npy"
        np.save(sound, reference.samples)
        if geometry:
            np.save(table, positions(read_config(resolve(model)).audio, read_config(checkpoint).audio))
        arguments = [str(checkpoint), str(table) if geometry else "-", str(sound), str(chunk)]
        found = _run([str(python), str(RUNNER), *arguments])
    return _figures(reference, found)


def _figures(reference: Reference, found: dict[str, Any]) -> dict[str, Any]:
    steps = found.pop("step_seconds")
    return found | {
        "wer": round(word_error_rate(reference.text, found.pop("text")), 4),
        "rtf": round(found["compute_seconds"] / reference.seconds, 4),
        "compute_seconds": round(found["compute_seconds"], 2),
        "steps": len(steps),
        "step_p95_seconds": round(float(np.percentile(steps, 95)), 3),
        "stages": {stage: round(seconds, 3) for stage, seconds in found["stages"].items()},
    }


def _measure_ours(checkpoint: str, model: str, geometry: str, sound: str, mode: str) -> dict[str, Any]:
    """The measurement of livecap, in its own process; `mode` is one of livecap eval, or `batch N` for a file."""
    loaded = load(checkpoint) if geometry == "-" else load_grown(Path(checkpoint), model)
    mlx = machine()["mlx"]
    samples = np.load(sound)
    kind, _, batch = mode.partition(" ")
    measured = _measure_file(loaded, samples, int(batch)) if kind == BATCH else _measure_live(loaded, samples, mode)
    return {
        "package": "livecap",
        "mlx": mlx["mlx_version"],
        "blas": mlx["blas"],
        "dtype": str(loaded.dtype).rsplit(".", 1)[-1],
    } | measured


def _measure_file(loaded: LoadedModel, samples: NDArray[np.float32], batch: int) -> dict[str, Any]:
    with Engine(loaded, EngineSettings("grown")) as engine:
        options = Options(batch, OPTIONS)
        transcribe_samples(engine, samples[:SAMPLE_RATE], options)  # the first decode loads code and fills caches
        began, cpu_began = time.perf_counter(), time.process_time()
        done = transcribe_samples(engine, samples, options)
        seconds, cpu_seconds = time.perf_counter() - began, time.process_time() - cpu_began
    stages = {
        "host": done.timings.read_seconds,
        "encoder": done.timings.encoder_seconds,
        "generate": done.timings.prefill_and_generate_seconds,
    }
    return {
        "text": done.text,
        "compute_seconds": seconds,
        "cpu_seconds": round(cpu_seconds, 2),
        "step_seconds": [seconds],
        "stages": stages,
        "pieces": done.timings.n_pieces,
        "mlx_peak_mb": memory_mb()["mlx_peak"],
    }


def _measure_live(loaded: LoadedModel, samples: NDArray[np.float32], mode: str) -> dict[str, Any]:
    cpu_began = time.process_time()
    run = measure_costs(loaded, Reference("sound", samples, "", ()), parse_mode(mode))
    cpu_seconds = round(time.process_time() - cpu_began, 2)
    moments = run.timeline.moments
    return {
        "text": " ".join(m.update.stable for m in moments if m.update.final and m.update.stable),
        "compute_seconds": run.timeline.compute_seconds,
        "cpu_seconds": cpu_seconds,
        "step_seconds": run.timeline.step_seconds,
        "stages": {stage: run.stages.seconds(stage) for stage in run.figures["stages"]},
        "calls": {stage: values["calls"] for stage, values in run.figures["stages"].items()},
        "mlx_peak_mb": run.figures["memory_mb"]["mlx_peak"],
    }


def _run(command: list[str]) -> dict[str, Any]:
    """Run a program; the JSON object in the last line that it prints."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        *_, reason = ["no reason given", *done.stderr.strip().splitlines()]
        raise SettingsError(f"{Path(command[0]).name} {Path(command[1]).name} failed: {reason}")
    result: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return result


def main() -> int:
    """Compare, print and store; the exit status."""
    if sys.argv[1:2] == [OURS]:
        print(json.dumps(_measure_ours(*sys.argv[2:7])))
        return 0
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.versus_mlx_qwen3_asr",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("recordings", nargs="+", type=Path, metavar="RECORDING")
    parser.add_argument(
        "--python",
        type=Path,
        required=True,
        metavar="PYTHON",
        help="the interpreter of an environment with mlx-qwen3-asr",
    )
    parser.add_argument(
        "--checkpoint",
        type=Path,
        required=True,
        metavar="DIR",
        help="the checkpoint; with --geometry, it is written where missing",
    )
    parser.add_argument("--geometry", help="0.6b or 1.7b: the checkpoint is --model, grown into that shape")
    parser.add_argument("--model", default="tiny")
    parser.add_argument("--mode", default="2", help="a mode of livecap eval; both programs use its chunk (default: 2)")
    parser.add_argument(
        "--batch",
        type=int,
        action="append",
        metavar="N",
        help="compare the transcription of a file, in batches of so many pieces; repeatable",
    )
    parser.add_argument(
        "--kept",
        type=Path,
        metavar="FILE",
        help="with --batch, a file for the figures of the other program: another run takes them from there",
    )
    parser.add_argument("--seconds", type=float, help="use only the first seconds of each recording")
    parser.add_argument(
        "--most",
        metavar="NAME=RATIO",
        action="append",
        default=[],
        help="the highest allowed ratio of livecap to the other, for a recording",
    )
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    try:
        return _compare_all(options)
    except LivecapError as error:
        print(f"versus: {error}", file=sys.stderr)
        return 1


def _compare_all(options: argparse.Namespace) -> int:
    if options.geometry:
        write_grown(options.checkpoint, options.geometry, options.model)
    most = dict(text.split("=", 1) for text in options.most)
    references, rows, complaints = references_of(options), [], []
    common = (options.checkpoint, options.model, options.geometry, options.python)
    found = (
        compare_files(repeated(references, period_of(references)), *common, options.batch, options.kept)
        if options.batch
        else (compare(reference, *common, options.mode) for reference in references)
    )
    for row in found:
        rows.append(row)
        print(_line(row), flush=True)
        if row["recording"] in most:
            complaints += missed(row, [Bound("ratio", True, float(most[row["recording"]]))])
    mode = None if options.batch else options.mode
    result = {"machine": machine(), "model": options.model, "geometry": options.geometry, "mode": mode}
    if options.out:
        store_figures(options.out, result | {"recordings": rows})
    for complaint in complaints:
        print(f"versus: {complaint}", file=sys.stderr)
    return int(bool(complaints))


def _line(row: dict[str, Any]) -> str:
    lines = [
        f"{row['recording']}, {row['sound_seconds']:.0f} s: livecap over the other {row['ratio']:.3f}"
        f" in wall time, {row['cpu_ratio']:.3f} in processor time"
    ]
    for name in ("livecap", "rival"):
        found = row[name]
        stages = ", ".join(f"{stage} {seconds:.2f}" for stage, seconds in found["stages"].items())
        lines.append(f"  {found['package']}: RTF {found['rtf']:.3f}, WER {found['wer']:.2%}; seconds: {stages}")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
