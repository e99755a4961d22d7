"""The echo of one track in another: what is written with and without livecap's canceller.

python -m benchmarks.echo --out docs/benchmarks/echo.json

A shipped recording is played by a small loudspeaker that distorts, in a room that reverberates; a microphone hears it
later and more quietly, alone or under the voice of another shipped recording. Each row has

  errors   the error rate of the near voice against the same voice without an echo, in percent, as it is written with
           the echo in it and without it
  alone    words that an echo by itself writes, with and without it
  ms       processor time for a second of sound
"""

import argparse
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.echoes import SECOND, Sound, echo, hiss, pair, voice
from livecap.engine import Engine, EngineSettings
from livecap.eval.offline import offline_text
from livecap.eval.output import as_json, store_figures
from livecap.eval.provenance import machine
from livecap.eval.wer import count_errors, normalise

PLAYED, PLAYED_FROM = "meeting", 0.0
NEAR, NEAR_FROM = "continuous", 0.0
"""The recordings that are played and spoken."""


@dataclass(frozen=True, slots=True)
class Echo:
    """How a microphone hears a loudspeaker."""

    delay_ms: float
    quieter_db: float
    drift_ppm: float = 0.0
    """How much faster the clock of the microphone is, in millionths."""
    later_delay_ms: float | None = None
    """The delay of the second half; None where it stays the same."""

    def of(self, played: Sound, seed: int) -> Sound:
        """[n] of the played sound as the microphone hears it."""
        heard = echo(played, self.delay_ms, self.quieter_db, seed, self.drift_ppm)
        if self.later_delay_ms is not None:
            half = len(played) // 2
            later = echo(played, self.later_delay_ms, self.quieter_db, seed + 1, self.drift_ppm)
            heard = np.concatenate([heard[:half], later[half:]])
        return heard


ECHOES = {
    "80 ms, 6 dB": Echo(80, 6),
    "200 ms, 20 dB": Echo(200, 20),
    "300 ms, 6 dB": Echo(300, 6),
    "150 ms, 10 dB, 40 ppm": Echo(150, 10, 40),
    "150 ms, 10 dB, 100 ppm": Echo(150, 10, 100),
    "120, then 260 ms, 8 dB": Echo(120, 8, later_delay_ms=260),
}


def measure(engine: Engine, one: Echo, near: Sound, played: Sound, wanted: str, seed: int) -> dict[str, Any]:
    """The figures of one echo.

    Args:
        wanted: what is written for the near voice without an echo.
    """
    there = one.of(played, seed)
    silence = hiss(len(there))
    both, ms = _freed(near + there, played)
    alone, _ = _freed(silence + there, played)
    errors = [round(100 * count_errors(wanted, offline_text(engine, sound)).wer, 1) for sound in (near + there, both)]
    words = [len(normalise(offline_text(engine, sound))) for sound in (silence + there, alone)]
    return {
        "errors": {"with": errors[0], "without": errors[1]},
        "alone": {"with": words[0], "without": words[1]},
        "ms": ms,
    }


def _freed(microphone: Sound, played: Sound) -> tuple[NDArray[np.float32], float]:
    """The microphone's sound without the echo, and the milliseconds that a second of it takes."""
    began = time.process_time()
    sound = pair(microphone, played).run(len(microphone)).sound
    return sound, round(1000 * (time.process_time() - began) / (len(microphone) / SECOND), 1)


def main() -> int:
    """Measure, print and store; the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.echo", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=30, help="length of the sound (30)")
    parser.add_argument("--seed", type=int, default=1, help="which room (1)")
    parser.add_argument("--model", default="tiny")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    near, played = voice(NEAR, NEAR_FROM, options.seconds), voice(PLAYED, PLAYED_FROM, options.seconds)
    near, played = near[: len(played)], played[: len(near)]
    result: dict[str, Any] = {"machine": machine(), "model": options.model, "seconds": options.seconds, "echoes": {}}
    with Engine.load(EngineSettings(options.model)) as engine:
        wanted = offline_text(engine, near)
        result["words"] = len(normalise(wanted))
        for name, one in ECHOES.items():
            figures = result["echoes"][name] = measure(engine, one, near, played, wanted, options.seed)
            print(f"{name:24}", *(f"{key} {value}" for key, value in figures.items()), flush=True)
    if options.out:
        store_figures(options.out, result)
    else:
        print(as_json(result))
    return 0


if __name__ == "__main__":
    sys.exit(main())
