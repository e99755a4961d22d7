"""The time from the start of livecap to its first sample, on a virtual microphone (Linux).

    python scripts/start.py --out docs/benchmarks/start.json

The time is wall time from the creation of the process to the first captured sample, which the log's first
`clock_anchored` event has. It is measured with lines, with events, and with the screen in a real terminal. In between,
an empty Python process is timed: a busy machine makes both slower. The load average and the niceness are stored too.
"""

import argparse
import json
import os
import pty
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from datetime import datetime
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from livecap.eval.output import as_json, store_figures  # noqa: E402
from livecap.eval.provenance import machine  # noqa: E402
from livecap.transcript import SAMPLE_RATE  # noqa: E402
from tests.audio_in.virtual_mic import VirtualMic, missing  # noqa: E402

NAME = "Start Microphone"
MOST_SECONDS = 0.3
MODES = {"plain": ["--plain"], "json": ["--json"], "screen": []}


def logged(folder: Path, within_seconds: float = 60.0) -> dict[str, Any]:
    """The first `clock_anchored` event in the log of the one session in `folder`."""
    until = time.monotonic() + within_seconds
    while time.monotonic() < until:
        for path in folder.glob("*/session.jsonl"):
            for line in path.read_text(encoding="utf-8").splitlines():
                if line.startswith('{"type": "clock_anchored"') and line.endswith("}"):
                    anchor: dict[str, Any] = json.loads(line)
                    return anchor
        time.sleep(0.01)
    raise SystemExit("livecap captured no sample within a minute.")


def first_sample(mode: str, model: str, env: dict[str, str]) -> float:
    """Seconds from the start of livecap to its first sample."""
    with tempfile.TemporaryDirectory() as folder:
        arguments = ["-m", "livecap", "--device", NAME, "--model", model, "--log-dir", folder, *MODES[mode]]
        ours, its = pty.openpty()
        output = its if mode == "screen" else subprocess.DEVNULL
        began = time.time()
        process = subprocess.Popen(
            [sys.executable, *arguments], cwd=ROOT, stdin=its, stdout=output, stderr=output, start_new_session=True,
            env=env | {"XDG_STATE_HOME": folder, "TERM": "xterm-256color"},
        )  # fmt: skip
        os.close(its)
        drain = threading.Thread(target=_drain, args=(ours,), daemon=True)
        drain.start()
        try:
            anchor = logged(Path(folder))
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(60)
            drain.join()
        assert anchor["sample"] == 0
        return datetime.fromisoformat(anchor["wall_time"]).timestamp() - began


def _drain(terminal: int) -> None:
    try:
        while os.read(terminal, 1 << 16):
            pass
    except OSError:
        pass  # the other end was closed
    os.close(terminal)


def empty_python() -> float:
    """Seconds that an empty Python process takes."""
    began = time.time()
    subprocess.run([sys.executable, "-c", "pass"], check=True)
    return time.time() - began


def figures(seconds: list[float]) -> dict[str, float]:
    return {"p50": round(statistics.median(seconds), 3), "most": round(max(seconds), 3)}


def main() -> None:
    """Measure, print and store the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=10)
    parser.add_argument("--model", default="tiny")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    if reason := missing():
        raise SystemExit(f"A virtual microphone is not available: {reason}.")
    mic = VirtualMic()
    try:
        mic.add(NAME, SAMPLE_RATE, 1)
        env = os.environ | mic.env
        taken: dict[str, list[float]] = {mode: [] for mode in MODES}
        python: list[float] = []
        for mode in MODES:
            first_sample(mode, options.model, env)  # fills the file cache and writes bytecode
        for _ in range(options.runs):
            for mode, seconds in taken.items():
                python.append(empty_python())
                seconds.append(first_sample(mode, options.model, env))
    finally:
        mic.close()
    result = {
        "machine": machine(),
        "model": options.model,
        "runs": options.runs,
        "load_average": round(os.getloadavg()[0], 1),
        "nice": os.nice(0),
        "first_sample_seconds": {mode: figures(seconds) for mode, seconds in taken.items()},
        "python_seconds": figures(python),
        "times_python": {
            mode: round(statistics.median(seconds) / statistics.median(python), 1) for mode, seconds in taken.items()
        },
    }
    print(as_json(result))
    if options.out:
        store_figures(options.out, result)
    late = [mode for mode, seconds in taken.items() if statistics.median(seconds) > MOST_SECONDS]
    sys.exit(f"The first sample is later than {MOST_SECONDS} s: {', '.join(late)}." if late else 0)


if __name__ == "__main__":
    main()
