"""`python -m benchmarks`: the cost of a model on this machine: time of each stage, memory and tensor shapes."""

import argparse
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.costs import Run, beginning, measure_costs, period_of, repeated, report
from benchmarks.grown_checkpoint import load_grown, write_grown
from livecap.cli.terminal import warn
from livecap.errors import LivecapError
from livecap.eval.bounds import missed, parse_bound
from livecap.eval.modes import parse_mode
from livecap.eval.output import as_json, store_figures, write_text
from livecap.eval.reference import read_reference
from livecap.model.checkpoint.load import load
from livecap.shipped import demo_recording

ABOUT = """\
Run recordings through the stream as fast as possible and report where time and memory went.

With --geometry, the model has the exact shape of a released one and prints the text of --model: its weights are grown
from the small model's. Speed, memory and text are those of a real run at the real size, without a download. The
checkpoint has 3.1 GB (0.6b) or 8.1 GB (1.7b); --keep DIR stores it for the next run.
"""

EPILOG = """\
stages (seconds of compute):
  mel       the log-mel spectrogram
  conv      the encoder's convolutions
  encoder   the encoder's layers
  prefill   the prompt through the decoder, including the draft
  verify    the output head on drafts, and passes over guessed tokens
  generate  one token per pass
  host      the rest
RTF is compute time over sound time; wait is the share of sound time in which nothing has to be computed.

other benchmarks (each has --help; docs/measuring.md describes them):
  python -m benchmarks.policies                 commit policies over a scripted recogniser
  python -m benchmarks.oracle_counts            lost, doubled and revised words over millions of steps
  python -m benchmarks.speed                    speed and memory of whole sessions
  python -m benchmarks.detection                speech missed and noise taken for speech, in noise
  python -m benchmarks.echo                     words with and without the echo of another track
  python -m benchmarks.diarisation              who spoke when, in made meetings
  python -m benchmarks.noise_alone              words invented where nobody speaks
  python -m benchmarks.word_times               accuracy of word times
  python -m benchmarks.batches, .drafts         recordings: pieces decoded together, and text that is drafted
  python -m benchmarks.products                 NumPy's products by the number of columns
  python -m benchmarks.launches                 kernel launches and waits that MLX asks of a GPU
  python -m benchmarks.half_precision           text in bfloat16 and float16, rounded as on a GPU
  python -m benchmarks.context                  cost and errors of lists of names to expect
  python -m benchmarks.moved                    errors of recordings whose sound begins a little later
  python -m benchmarks.ray_workers              recordings on a Ray cluster
  python -m benchmarks.serve                    what livecap serve carries: streams, idle connections, bad clients
  python -m benchmarks.archive                  search over thousands of hours, the log of a day
  python -m benchmarks.screen                   the screen with 50,000 utterances
  python -m benchmarks.mutations                random changes of livecap, and how many the tests notice
  python -m benchmarks.versus_mlx_qwen3_asr     livecap against mlx-qwen3-asr
"""


def main() -> int:
    """Run the benchmark; the exit status."""
    try:
        return _measure(_parser().parse_args())
    except LivecapError as error:
        warn(str(error))
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description=ABOUT,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("recordings", nargs="*", type=Path, metavar="RECORDING", help="default: the demo's recording")
    parser.add_argument("--model", metavar="NAME", default="tiny", help="default: tiny")
    parser.add_argument("--geometry", metavar="SIZE", help="give the model the shape of 0.6b or 1.7b")
    parser.add_argument("--keep", metavar="DIR", type=Path, help="folder of the grown checkpoint, for later runs")
    parser.add_argument("--mode", metavar="MODE", dest="modes", action="append", help="as in livecap eval (default: 2)")
    parser.add_argument("--seconds", metavar="N", type=float, help="use the first N seconds of each recording")
    parser.add_argument("--minutes", metavar="N", type=float, help="repeat all recordings for N minutes")
    parser.add_argument("--settle", action="store_true", help="run the second pass over closed utterances")
    parser.add_argument(
        "--trace", metavar="FILE", type=Path, help="write a trace for chrome://tracing or ui.perfetto.dev"
    )
    parser.add_argument(
        "--require",
        metavar="BOUND",
        action="append",
        default=[],
        help='fail where this is not met, such as "rtf <= 1.3"',
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--out", metavar="FILE", type=Path, help="also write the JSON to FILE")
    return parser


def _measure(options: argparse.Namespace) -> int:
    bounds = [parse_bound(text) for text in options.require]
    modes = [parse_mode(text) for text in options.modes or ["2"]]
    references = [read_reference(path) for path in options.recordings or [demo_recording()]]
    if options.seconds:
        references = [beginning(reference, options.seconds) for reference in references]
    run_options: dict[str, Any] = {"settle": options.settle, "trace": options.trace is not None}
    if options.minutes:
        run_options["repeat_seconds"] = period_of(references)
        references = [repeated(references, options.minutes * 60)]
    with tempfile.TemporaryDirectory(prefix="livecap.") as folder:
        loaded = _model(options.model, options.geometry, options.keep, Path(folder))
        runs = [measure_costs(loaded, reference, mode, **run_options) for reference in references for mode in modes]
    name = f"{options.model} as {options.geometry}" if options.geometry else options.model
    result = report(name, runs)
    print(
        as_json(result)
        if options.json
        else "\n\n".join([*map(_lines, runs), _machine_line(result["machine"]["arithmetic"])])
    )
    if options.out:
        store_figures(options.out, result)
    if options.trace:
        write_text(options.trace, runs[-1].stages.trace())
    complaints = [line for run in runs for line in missed(run.figures, bounds)]
    for line in complaints:
        warn(line)
    return int(bool(complaints))


def _model(model: str, geometry: str | None, keep: Path | None, folder: Path) -> Any:
    if geometry is None:
        return load(model)
    return load_grown(write_grown(keep or folder, geometry, model), model)


def _machine_line(speed: dict[str, float]) -> str:
    return "this machine: {gigaflops:.0f} GFLOP/s for many positions, {weights_gb_per_second:.0f} GB/s for one".format(
        **speed
    )


def _lines(run: Run) -> str:
    figures = run.figures
    stages = figures["stages"]
    sound = figures["sound_seconds"]
    lines = [
        f"{figures['recording']}, {figures['mode']}: {sound:.0f} s of sound, {figures['speech_seconds']:.0f} s "
        f"speech; WER {figures['wer']:.2%}",
        f"RTF {figures['rtf']:.3f}, wait {figures['wait_share']:.0%}; {figures['steps']} steps of "
        + "{p50:.3f} / {p95:.3f} / {p99:.3f} s".format(**figures["step_seconds"]),
    ]
    for name, stage in stages.items():
        lines.append(
            f"  {name:9}{stage['seconds']:9.2f} s{stage['per_second_of_sound'] * 1000:9.1f} ms per second of sound"
            f"{stage['calls']:8} calls{stage['size']:9} in"
        )
    tokens = figures["tokens_per_step"]
    lines.append(
        "tokens per step: {said:.1f}, of which {accepted:.1f} from drafts; {passes:.1f} passes".format(**tokens)
    )
    shapes = ", ".join(f"{name} {n}" for name, n in figures["distinct_shapes"].items())
    lines.append(f"distinct shapes: {shapes}")
    lines.append("memory in MB: " + ", ".join(f"{name} {mb:.0f}" for name, mb in figures["memory_mb"].items()))
    if figures["growth"]:
        lines.append(
            "last {seconds_compared:.0f} s over first: step cost x {measured_ratio:.3f}, the machine's own change x "
            "{machine_ratio:.3f}, corrected x {step_cost_ratio:.3f}; {resident_mb:+.0f} MB".format(**figures["growth"])
        )
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
