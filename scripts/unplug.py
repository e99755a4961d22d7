"""Capture from two inputs while one of them is unplugged and plugged in again, many times (Linux).

    python scripts/unplug.py --cycles 100
    python scripts/unplug.py --cycles 20 --lived 6 --away 4 --out docs/benchmarks/unplug.json

In each cycle one of two virtual microphones stops, which PortAudio does not report, and returns. Every other time it
also leaves the list of devices, so that the list is read again while the other input is captured. Fails where an input
does not return, where a file has another number of samples than were counted, or where the process crashes; a crash in
C code prints the Python line of every thread. A device that stops repeatedly is tried less and less often. A device
that delivered sound for 6 s counts as good and is tried at once.
"""

import argparse
import faulthandler
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from livecap.audio_in.device.microphone import Microphone  # noqa: E402
from livecap.audio_in.spool import Spool  # noqa: E402
from livecap.audio_in.wav_header import HEADER_BYTES, SAMPLE_BYTES  # noqa: E402
from livecap.eval.output import as_json, store_figures  # noqa: E402
from livecap.eval.provenance import machine  # noqa: E402
from livecap.transcript import SAMPLE_RATE  # noqa: E402
from tests.audio_in.virtual_mic import VirtualMic, missing  # noqa: E402

NAMES = ("Microphone A", "Microphone B")
DEFAULT = "Built-in"
"""The default input, which stays: when a default input leaves, PulseAudio silently moves its streams to another."""
WITHIN_SECONDS = 30.0


def until(condition: Callable[[], bool], what: str) -> float:
    """Wait for a condition; the seconds that it took."""
    began = time.monotonic()
    while not condition():
        if time.monotonic() - began > WITHIN_SECONDS:
            raise SystemExit(f"Not within {WITHIN_SECONDS:g} s: {what}.")
        time.sleep(0.01)
    return time.monotonic() - began


def unplug(mic: VirtualMic, folder: Path, cycles: int, lived: float, away: float) -> dict[str, object]:
    """Run all cycles; the figures.

    Args:
        lived: seconds that a device delivers sound before it is unplugged.
        away: seconds before it is plugged in again.
    """
    sources: dict[str, Microphone] = {}
    for name in NAMES:
        spool = Spool()
        spool.keep_in(folder / f"{name}.wav")
        sources[name] = Microphone(name, spool=spool)
    back: list[float] = []
    for cycle in range(cycles):
        name = NAMES[cycle % 2]
        source = sources[name]
        listed = cycle // 2 % 2 == 0
        until(lambda source=source: source.trouble != "away", f"{name} delivers sound")
        heard = source.arrived_samples
        until(lambda source=source, heard=heard: source.arrived_samples > heard, f"sound comes from {name}")
        time.sleep(lived)
        if listed:
            mic.vanish(name)
        else:
            mic.remove(name)
        until(lambda source=source: source.trouble == "away", f"{name} is away")
        time.sleep(away)
        if listed:
            mic.restore(name)
        else:
            mic.add(name, SAMPLE_RATE, 1)
        back.append(until(lambda source=source: source.trouble != "away", f"{name} is back"))
        for source in sources.values():
            block = source.take()
            assert block is None or len(block.samples)
        print(f"\r{cycle + 1} of {cycles}", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    for name, source in sources.items():
        source.close()
        source.spool.close()
        size = (folder / f"{name}.wav").stat().st_size
        if size != HEADER_BYTES + source.arrived_samples * SAMPLE_BYTES:
            raise SystemExit(f"{name}: the file has {size} bytes for {source.arrived_samples} samples.")
    back.sort()
    return {
        "cycles": cycles,
        "lived_seconds": lived,
        "away_seconds": away,
        "back_seconds": {"p50": round(back[len(back) // 2], 2), "most": round(back[-1], 2)},
        "opened": {name: source.health.n_opened for name, source in sources.items()},
    }


def main() -> None:
    """Run, print and store the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cycles", type=int, default=100)
    parser.add_argument("--lived", type=float, default=0.0)
    parser.add_argument("--away", type=float, default=0.0)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    if reason := missing():
        raise SystemExit(f"A virtual microphone is not available: {reason}.")
    faulthandler.enable(all_threads=True)
    mic = VirtualMic()
    try:
        for name in (DEFAULT, *NAMES):
            mic.add(name, SAMPLE_RATE, 1)
        os.environ.update(mic.env)
        with tempfile.TemporaryDirectory() as folder:
            result = {"machine": machine(), **unplug(mic, Path(folder), options.cycles, options.lived, options.away)}
        print(as_json(result))
        if options.out:
            store_figures(options.out, result)
    finally:
        mic.close()


if __name__ == "__main__":
    main()
