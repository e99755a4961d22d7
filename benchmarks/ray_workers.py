"""Speed of `livecap transcribe --ray` with one worker and with two on this machine, and that of one process.

    python -m benchmarks.ray_workers recordings/*.flac --copies 4 --out docs/benchmarks/ray.json

Needs the extra livecap[ray]. Starts a Ray cluster of its own. The time begins when the first engine has its model. The
three take turns, and the quickest run of each counts, since other programs may use the machine.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import soundfile

from livecap.eval.output import store_figures
from livecap.eval.provenance import machine
from livecap.eval.reference import read_reference
from livecap.eval.wer import ErrorCounts, count_errors

WORKERS = (0, 1, 2)
"""0 is one process without Ray."""
LOADED = re.compile("has loaded the model")


def run(recordings: Sequence[Path], folder: Path, address: str | None) -> tuple[float, dict[str, str]]:
    """(seconds from the first engine that has its model to the end, name to text of each output)."""
    command = [sys.executable, "-m", "livecap", "transcribe", *map(str, recordings), "-o", str(folder)]
    command += ["--model", "tiny", "--verbose", "--no-progress", *(["--ray", address] if address else [])]
    began = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    for line in process.stderr:
        if LOADED.search(line) and not list(folder.glob("*.txt")):
            began = time.perf_counter()
    process.wait()
    seconds = time.perf_counter() - began
    return seconds, {path.name: path.read_text(encoding="utf-8") for path in folder.glob("*.txt")}


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit status: 1 where a text differs from that of one process."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.ray_workers",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("recordings", nargs="+", type=Path)
    parser.add_argument("--copies", type=int, default=2, metavar="N", help="of each recording (default: 2)")
    parser.add_argument("--rounds", type=int, default=2, metavar="N", help="default: 2")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args(arguments)
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    from ray.cluster_utils import Cluster

    references = [read_reference(path) for path in options.recordings]
    sound_seconds = options.copies * sum(len(each.samples) for each in references) / 16_000
    figures: dict[str, Any] = {"machine": machine(), "sound_seconds": round(sound_seconds, 1)}
    texts: list[dict[str, str]] = []
    with tempfile.TemporaryDirectory(prefix="livecap.") as temporary:
        copies = [
            Path(temporary) / f"{path.stem}-{n}.flac" for n in range(options.copies) for path in options.recordings
        ]
        for copy, reference in zip(copies, references * options.copies, strict=True):
            soundfile.write(copy, reference.samples, 16_000)
        slots = {"num_cpus": 1, "resources": {"livecap": 1}, "object_store_memory": 200_000_000}
        cluster = Cluster(initialize_head=True, head_node_args=slots)
        speeds: dict[int, list[float]] = {workers: [] for workers in WORKERS}
        for number in range(options.rounds):
            for workers in WORKERS:
                second = cluster.add_node(**slots) if workers == 2 else None
                folder = Path(temporary) / f"{number}-{workers}"
                folder.mkdir()
                seconds, found = run(copies, folder, cluster.address if workers else None)
                texts.append(found)
                speeds[workers].append(round(sound_seconds / seconds, 1))
                print(f"{workers} workers: {speeds[workers][-1]}x real time, load {os.getloadavg()[0]:.1f}", flush=True)
                if second is not None:
                    cluster.remove_node(second)
        cluster.shutdown()
    figures["workers"] = {str(workers): {"real_time": max(runs), "all_runs": runs} for workers, runs in speeds.items()}
    figures |= {"two_to_one": round(max(speeds[2]) / max(speeds[1]), 2), "load": round(os.getloadavg()[0], 1)}
    said = [texts[0][f"{path.stem}-0.txt"] for path in options.recordings]
    errors = sum(map(count_errors, [each.text for each in references], said), ErrorCounts())
    figures |= {"wer": round(errors.wer, 4), "texts_that_differ": sum(each != texts[0] for each in texts)}
    print(f"word error rate: {figures['wer']}; runs with other texts: {figures['texts_that_differ']}")
    if options.out:
        store_figures(options.out, figures)
    return int(figures["texts_that_differ"] > 0)


if __name__ == "__main__":
    sys.exit(main())
