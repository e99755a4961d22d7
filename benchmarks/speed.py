"""Speed and memory of sessions, in processes of their own, with the error rate of the same run.

    python -m benchmarks.speed --model tiny --out docs/benchmarks/speed.json

Three things: how many times real time `--pace max` goes; memory over an hour-long file; the first words of the demo.
Exit status 1 where one of the bounds below is missed.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from livecap.eval.output import as_json, store_figures
from livecap.eval.provenance import machine
from livecap.eval.wer import word_error_rate
from livecap.shipped import demo_recording, reference_text
from livecap.this_machine import resident_bytes
from livecap.transcript import SAMPLE_RATE

HOUR_SECONDS = 3600
LEAST_TIMES_REAL_TIME = 20.0
MOST_FIRST_WORDS_SECONDS = 4.0
"""From the start of the demo's process."""
MOST_GROWTH_MB = 20
"""From the second quarter of an hour to the last: the first one is warming up."""


def run(arguments: list[str]) -> tuple[list[dict[str, Any]], list[tuple[float, float]]]:
    """The JSON lines of one livecap process, and its memory: (seconds of sound decoded, megabytes resident)."""
    command = [sys.executable, "-m", "livecap", "--json", *arguments]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    lines: list[dict[str, Any]] = []
    memory: list[tuple[float, float]] = []
    start = time.monotonic()
    for line in process.stdout:
        item = json.loads(line)
        item["arrived"] = time.monotonic() - start
        lines.append(item)
        if item["type"] == "update":
            memory.append((item["end_sample"] / SAMPLE_RATE, resident_bytes(process.pid) / 1e6))
    if process.wait() != 0:
        raise SystemExit(f"{' '.join(command)} failed")
    return lines, memory


def text_of(lines: list[dict[str, Any]]) -> str:
    return " ".join(line["text"] for line in lines if line["type"] == "utterance_ended")


def session_seconds(lines: list[dict[str, Any]]) -> float:
    """From the session's start to its end, loading included."""
    return float(lines[-1]["wall_seconds"] - lines[0]["wall_seconds"])


def pace(model: str, recording: Path, folder: str) -> dict[str, Any]:
    """How fast a recording goes, with its error rate."""
    arguments = ["--replay", str(recording), "--pace", "max", "--model", model, "--log-dir", folder]
    lines, memory = run(arguments)
    live, _ = run([*arguments, "--no-settle"])
    sound = lines[-1]["n_samples"] / SAMPLE_RATE
    return {
        "recording": recording.stem,
        "sound_seconds": round(sound, 1),
        "times_real_time": round(sound / session_seconds(live), 1),
        "times_real_time_with_settling": round(sound / session_seconds(lines), 1),
        "wer": round(word_error_rate(reference_text(recording), text_of(lines)), 4),
        "peak_resident_mb": round(max(mb for _, mb in memory)),
    }


def hour(model: str, recordings: list[Path], folder: str) -> dict[str, Any]:
    """Memory at the quarters of an hour-long file made of all recordings, over and over."""
    path = Path(folder) / "hour.flac"
    reference, written = [], 0
    with soundfile.SoundFile(path, "w", SAMPLE_RATE, 1, format="FLAC") as file:
        while written < HOUR_SECONDS * SAMPLE_RATE:
            for recording in recordings:
                samples, _ = soundfile.read(recording, dtype="float32")
                file.write(np.concatenate([samples, np.zeros(SAMPLE_RATE, np.float32)]))
                written += len(samples) + SAMPLE_RATE
                reference.append(reference_text(recording))
    lines, memory = run(["--replay", str(path), "--pace", "max", "--model", model, "--log-dir", folder])
    seconds = lines[-1]["n_samples"] / SAMPLE_RATE
    quarters = [
        round(max((mb for at, mb in memory if i * seconds / 4 <= at < (i + 1) * seconds / 4), default=0))
        for i in range(4)
    ]
    return {
        "sound_seconds": round(seconds),
        "times_real_time": round(seconds / session_seconds(lines), 1),
        "wer": round(word_error_rate(" ".join(reference), text_of(lines)), 4),
        "resident_mb_by_quarter": quarters,
    }


def first_words(folder: str) -> dict[str, Any]:
    """From the start of the demo's process to its first words, at real pace."""
    command = [sys.executable, "-m", "livecap", "--json", "--log-dir", folder, "demo"]
    start = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    guard = threading.Timer(60, process.kill)
    guard.start()
    try:
        for line in process.stdout:
            item = json.loads(line)
            if item["type"] == "update" and item["stable"] + item["partial"]:
                return {
                    "seconds": round(time.monotonic() - start, 2),
                    "sound_heard_seconds": round(item["end_sample"] / SAMPLE_RATE, 2),
                    "text": item["stable"] + item["partial"],
                }
    finally:
        guard.cancel()
        process.terminate()
        process.communicate()
    raise SystemExit("the demo said nothing")


def missed(result: dict[str, Any]) -> list[str]:
    """A line for each bound that does not hold."""
    lines = [
        f"{row['recording']} goes at {row['times_real_time']} times real time, wanted are {LEAST_TIMES_REAL_TIME}"
        for row in [*result["pace_max"], *([result["hour"] | {"recording": "the hour"}] if "hour" in result else [])]
        if row["times_real_time"] < LEAST_TIMES_REAL_TIME
    ]
    seconds = result["first_words_of_demo"]["seconds"]
    if seconds > MOST_FIRST_WORDS_SECONDS:
        lines.append(f"the demo's first words come after {seconds} s, allowed are {MOST_FIRST_WORDS_SECONDS}")
    if "hour" in result:
        _, second, _, last = result["hour"]["resident_mb_by_quarter"]
        if last - second > MOST_GROWTH_MB:
            lines.append(f"memory grows by {last - second} MB in an hour, allowed are {MOST_GROWTH_MB}")
    return lines


def main() -> int:
    """Measure, print, and write the figures where asked; the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="tiny")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--skip-hour", action="store_true", help="leave out the hour-long file")
    options = parser.parse_args()
    recordings = sorted(demo_recording().parent.glob("*.flac"))
    with tempfile.TemporaryDirectory() as folder:
        result: dict[str, Any] = {"machine": machine(), "model": options.model}
        result["pace_max"] = [pace(options.model, recording, folder) for recording in recordings]
        result["first_words_of_demo"] = first_words(folder)
        if not options.skip_hour:
            result["hour"] = hour(options.model, recordings, folder)
    print(as_json(result))
    if options.out:
        store_figures(options.out, result)
    complaints = missed(result)
    for line in complaints:
        print(f"speed: {line}", file=sys.stderr)
    return int(bool(complaints))


if __name__ == "__main__":
    sys.exit(main())
