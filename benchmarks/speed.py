"""Speed and memory of whole sessions, each in its own process, with the error rate of the same run.

    python -m benchmarks.speed --model tiny --out docs/benchmarks/speed.json

Measures how many times real time `--pace max` reaches, memory over an hour-long file, and the time to the first words
of the demo. Exit status 1 where one of the bounds below is missed.
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
"""From the start of the demo's process to its first words."""
MOST_GROWTH_MB = 20
"""Growth of memory from the second quarter of an hour to the last; the first quarter is warm-up."""


def run(arguments: list[str]) -> tuple[list[dict[str, Any]], list[tuple[float, float]]]:
    """Run livecap: its JSON lines, and its memory as (seconds of decoded sound, resident megabytes)."""
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
    """Wall time from the session's start to its end, including loading."""
    return float(lines[-1]["wall_seconds"] - lines[0]["wall_seconds"])


def pace(model: str, recording: Path, folder: str) -> dict[str, Any]:
    """The speed of one recording, with its error rate."""
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
    """Memory in each quarter of an hour-long file that repeats all recordings."""
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
    """The time from the start of the demo's process to its first words, at normal pace."""
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
    raise SystemExit("the demo printed no text")


def missed(result: dict[str, Any]) -> list[str]:
    """A line for each bound that does not hold."""
    lines = [
        f"{row['recording']}: {row['times_real_time']} times real time, at least {LEAST_TIMES_REAL_TIME} is required"
        for row in [*result["pace_max"], *([result["hour"] | {"recording": "the hour"}] if "hour" in result else [])]
        if row["times_real_time"] < LEAST_TIMES_REAL_TIME
    ]
    seconds = result["first_words_of_demo"]["seconds"]
    if seconds > MOST_FIRST_WORDS_SECONDS:
        lines.append(f"the demo's first words come after {seconds} s, at most {MOST_FIRST_WORDS_SECONDS} is allowed")
    if "hour" in result:
        _, second, _, last = result["hour"]["resident_mb_by_quarter"]
        if last - second > MOST_GROWTH_MB:
            lines.append(f"memory grows by {last - second} MB in an hour, at most {MOST_GROWTH_MB} is allowed")
    return lines


def main() -> int:
    """Measure, print and store; the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.speed", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", default="tiny")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--skip-hour", action="store_true", help="skip the hour-long file")
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
