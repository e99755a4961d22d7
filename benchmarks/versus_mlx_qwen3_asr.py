"""livecap against mlx-qwen3-asr: the same checkpoint, sound, precision and BLAS, one after the other.

    python -m venv other && other/bin/pip install mlx-qwen3-asr==0.4.4 "mlx[cpu]"
    python -m benchmarks.versus_mlx_qwen3_asr --python other/bin/python --checkpoint DIR RECORDING... --geometry 0.6b

Each program runs in its own process. Both compute in float32 on the CPU, with 2 s chunks. (The default of
mlx-qwen3-asr, float16, is slow there; comparing with it would not be fair.) Exit status 1 where a bound of --most is
missed.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.costs import beginning, measure_costs
from benchmarks.grown_checkpoint import load_grown, write_grown
from benchmarks.grown_weights import positions
from livecap.errors import LivecapError, SettingsError
from livecap.eval.bounds import Bound, missed
from livecap.eval.modes import parse_mode
from livecap.eval.output import store_figures
from livecap.eval.provenance import machine
from livecap.eval.reference import Reference, read_reference
from livecap.eval.wer import word_error_rate
from livecap.model.checkpoint.load import load, read_config, resolve

RUNNER = Path(__file__).with_name("run_mlx_qwen3_asr.py")
OURS = "ours"
"""The first argument of the process that measures livecap."""


def compare(
    reference: Reference, checkpoint: Path, model: str, geometry: str | None, python: Path, mode: str
) -> dict[str, Any]:
    """Run both programs on one sound: the figures of each, and the ratios of livecap to the other."""
    ours = _ours(reference, checkpoint, model, geometry, mode)
    theirs = _theirs(reference, checkpoint, model, geometry, python, mode)
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
    reference: Reference, checkpoint: Path, model: str, geometry: str | None, python: Path, mode: str
) -> dict[str, Any]:
    chunk = parse_mode(mode).config.chunk.chunk_seconds
    if chunk is None:
        raise SettingsError(f"Mode {mode!r} has no fixed chunk, which mlx-qwen3-asr needs: give a chunk such as 2.")
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
    """The measurement of livecap, in its own process."""
    loaded = load(checkpoint) if geometry == "-" else load_grown(Path(checkpoint), model)
    reference = Reference("sound", np.load(sound), "", ())
    cpu_began = time.process_time()
    run = measure_costs(loaded, reference, parse_mode(mode))
    cpu_seconds = round(time.process_time() - cpu_began, 2)
    moments = run.timeline.moments
    return {
        "package": "livecap",
        "mlx": machine()["mlx"]["mlx_version"],
        "blas": machine()["mlx"]["blas"],
        "dtype": str(loaded.dtype).rsplit(".", 1)[-1],
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
    rows, complaints = [], []
    for path in options.recordings:
        reference = read_reference(path)
        reference = beginning(reference, options.seconds) if options.seconds else reference
        row = compare(reference, options.checkpoint, options.model, options.geometry, options.python, options.mode)
        rows.append(row)
        print(_line(row), flush=True)
        if reference.name in most:
            complaints += missed(row, [Bound("ratio", True, float(most[reference.name]))])
    result = {"machine": machine(), "model": options.model, "geometry": options.geometry, "mode": options.mode}
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
