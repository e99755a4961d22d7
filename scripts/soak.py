"""A long live session on a virtual microphone: xruns, callback times, lost samples, and growth.

    python scripts/soak.py --minutes 60 --out docs/benchmarks/soak.json

A player plays the shipped recordings in turn into a PulseAudio sink. livecap runs in its own process and decodes,
spools and logs as usual. Exit status 1 where a sample is missing or something grows. Linux only.
"""

import argparse
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from livecap.eval.output import as_json, store_figures  # noqa: E402
from livecap.eval.provenance import machine  # noqa: E402
from livecap.this_machine import resident_bytes  # noqa: E402
from livecap.transcript import SAMPLE_RATE  # noqa: E402
from tests.audio_in import virtual_mic  # noqa: E402

NAME = "Soak Microphone"
WARM_SHARE = 0.3
"""The first part of the run, which is not checked for growth, since caches fill."""
MOST_GROWTH_MB = 8.0
MOST_CALLBACK_MS = 1.0
FINISHING_SECONDS = 900.0
"""How long the end may take: a decoder on a busy machine is late, and decodes all waiting sound."""


def sample(pid: int) -> dict[str, float]:
    """The threads, open files and resident megabytes of a process."""
    return {
        "threads": len(os.listdir(f"/proc/{pid}/task")),
        "files": len(os.listdir(f"/proc/{pid}/fd")),
        "resident_mb": resident_bytes(pid) / 1e6,
    }


def play_on(mic: virtual_mic.VirtualMic, recordings: list[Path], until: float) -> None:
    """Play the recordings in turn until the time is over."""
    while time.monotonic() < until:
        for recording in recordings:
            player = mic.play(NAME, recording)
            while player.poll() is None and time.monotonic() < until:
                time.sleep(0.1)
            if time.monotonic() >= until:
                player.kill()
                player.wait()
                return


def soak(seconds: float, model: str) -> dict[str, Any]:
    """Run the session; its figures."""
    mic = virtual_mic.VirtualMic()
    try:
        mic.add(NAME, SAMPLE_RATE, 1)
        with tempfile.TemporaryDirectory() as folder:
            command = [sys.executable, "-m", "livecap", "--device", NAME, "--json", "--model", model]
            process = subprocess.Popen(
                [*command, "--log-dir", folder], stdout=subprocess.DEVNULL, cwd=ROOT,
                env=os.environ | mic.env | {"XDG_STATE_HOME": folder},
            )  # fmt: skip
            until = time.monotonic() + seconds
            recordings = sorted((ROOT / "recordings").glob("*.flac"))
            player = threading.Thread(target=play_on, args=(mic, recordings, until))
            player.start()
            samples = []
            while time.monotonic() < until and process.poll() is None:
                time.sleep(1.0)
                samples.append(sample(process.pid))
            player.join()
            process.send_signal(signal.SIGTERM)
            status = process.wait(FINISHING_SECONDS)
            [log] = Path(folder).glob("*/session.jsonl")
            events = [json.loads(line) for line in log.read_text().splitlines()]
    finally:
        mic.close()
    [report] = [event for event in events if event["type"] == "capture_report"]
    warm = samples[int(len(samples) * WARM_SHARE) :]
    return {
        "seconds": seconds,
        "exit_status": status,
        "notices": [event["message"] for event in events if event["type"] == "notice"],
        "utterances": sum(event["type"] == "utterance_ended" for event in events),
        "capture": {key: value for key, value in report.items() if key not in ("type", "wall_seconds", "seq", "crc")},
        "after_warming": {name: course([each[name] for each in warm]) for name in warm[0]},
        "resident_mb_by_minute": [
            round(statistics.median(each["resident_mb"] for each in samples[at : at + 60]), 1)
            for at in range(0, len(samples), 60)
        ],
        "load_average": round(os.getloadavg()[0], 1),
    }


def course(values: list[float]) -> dict[str, float]:
    """The median of the first and of the last fifth of the values, and the maximum. Medians, because memory goes up and
    down with each step."""
    fifth = max(1, len(values) // 5)
    first, last = (statistics.median(part) for part in (values[:fifth], values[-fifth:]))
    return {"first": round(first, 1), "last": round(last, 1), "most": round(max(values), 1)}


def troubles(result: dict[str, Any]) -> list[str]:
    """A line for each problem."""
    capture, grown = result["capture"], result["after_warming"]
    found = [f"{name}: {capture[name]}" for name in ("n_flags", "n_overflows", "n_gaps") if capture[name]]
    parts = capture["decoded_samples"] + capture["silence_samples"] + capture["gap_samples"]
    if parts != capture["captured_samples"]:
        found.append(f"samples do not add up: {capture['captured_samples']} captured, {parts} accounted for")
    if abs(capture["captured_samples"] / SAMPLE_RATE - result["seconds"]) > 5:
        found.append(f"{capture['captured_samples'] / SAMPLE_RATE:.1f} s captured in {result['seconds']:.0f} s")
    if capture["callback_p999_ms"] > MOST_CALLBACK_MS:
        found.append(f"callback p99.9 is {capture['callback_p999_ms']} ms")
    for name in ("threads", "files"):
        if grown[name]["last"] > grown[name]["first"]:
            found.append(f"{name} grew: {grown[name]}")
    if grown["resident_mb"]["last"] - grown["resident_mb"]["first"] > MOST_GROWTH_MB:
        found.append(f"memory grew: {grown['resident_mb']}")
    return found


def main() -> None:
    """Measure, print and store the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=1.0)
    parser.add_argument("--model", default="tiny")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    if reason := virtual_mic.missing():
        raise SystemExit(f"A virtual microphone is not available: {reason}.")
    result = {"machine": machine(), "model": options.model, **soak(options.minutes * 60, options.model)}
    result["troubles"] = troubles(result)
    print(as_json(result))
    if options.out:
        store_figures(options.out, result)
    sys.exit(1 if result["troubles"] else 0)


if __name__ == "__main__":
    main()
