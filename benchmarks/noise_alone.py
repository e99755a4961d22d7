"""Words that are invented where nobody speaks: each noise by itself, heard live by a model.

python -m benchmarks.noise_alone --minutes 60 --out docs/benchmarks/noise_alone.json

The noise has -35 dBFS, as loud as a voice at some distance. Music has no singing, and babble has words, so it is left
out. Committed words are those of the live text and of the settled text.

A noise is heard in parts of ten minutes, each with a noise and a stream of its own. Finished parts are stored in
`--out`. The same command, at the same commit, goes on behind them.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import noises
from livecap.audio_in.vad import DetectorConfig, Vad
from livecap.engine import Engine, EngineSettings
from livecap.eval.emission import final_texts
from livecap.eval.output import as_json, store_figures
from livecap.eval.provenance import machine
from livecap.eval.timeline import play
from livecap.stream.config import ChunkConfig, StreamConfig
from livecap.transcript import SAMPLE_RATE

LEVEL_DB = -35.0
PART_MINUTES = 10.0


def invented(engine: Engine, name: str, minutes: float, seed: tuple[int, int]) -> dict[str, Any]:
    """The figures of one part of one noise."""
    random = np.random.default_rng(seed)
    sound = noises.KINDS[name](round(minutes * 60 * SAMPLE_RATE), random) * np.float32(10 ** (LEVEL_DB / 20))
    transcriber = engine.transcriber()
    timeline = play(transcriber, np.clip(sound, -1, 1), 0.05)
    live = final_texts(timeline.moments)
    settled = {item.utterance: item.text for item in timeline.settled}
    transcriber.close()
    return {
        "minutes": minutes,
        "words": sum(len(text.split()) for text in live.values()),
        "settled_words": sum(len(text.split()) for text in settled.values()),
        "texts": sorted({text for text in (*live.values(), *settled.values()) if text})[:20],
        "steps": transcriber.statistics.n_steps,
        "compute_seconds": round(timeline.compute_seconds, 1),
    }


def together(before: dict[str, Any], part: dict[str, Any]) -> dict[str, Any]:
    """The figures of two parts of one noise as those of one: sums, and all texts."""
    return {key: before[key] + part[key] if key in before else part[key] for key in part}


def finished(path: Path | None, result: dict[str, Any]) -> dict[str, Any]:
    """The noises that an earlier run stored there, if it had the same commit, model, detector and seed; else none."""
    if path is None or not path.exists():
        return {}
    stored = json.loads(path.read_text(encoding="utf-8"))
    same = all(stored.get(key) == result[key] for key in result.keys() - {"machine", "noises"})
    is_here = stored["machine"]["commit"] == result["machine"]["commit"]
    noises_before: dict[str, Any] = stored["noises"] if same and is_here else {}
    return noises_before


def main() -> int:
    """Measure, print and store; the exit status, 1 if a word was invented."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.noise_alone",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("noises", nargs="*", help=f"of {', '.join(noises.KINDS)} (default: all)")
    parser.add_argument("--minutes", type=float, default=10, help="length of each noise (10)")
    parser.add_argument("--vad", choices=list(Vad), default=DetectorConfig().vad)
    parser.add_argument("--model", default="tiny")
    parser.add_argument("--seed", type=int, default=3)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    if unknown := sorted(set(options.noises) - noises.KINDS.keys()):
        parser.error(f"no noise named {', '.join(unknown)}; there are {', '.join(noises.KINDS)}")
    stream = StreamConfig(ChunkConfig(step_cost_seconds=0.05), detector=DetectorConfig(Vad(options.vad)))
    result: dict[str, Any] = {"machine": machine(), "model": options.model, "vad": options.vad, "seed": options.seed}
    result["noises"] = heard = finished(options.out, result)
    with Engine.load(EngineSettings(options.model, stream=stream)) as engine:
        for name in options.noises or noises.KINDS:
            while (done := heard.get(name, {}).get("minutes", 0.0)) < options.minutes:
                minutes = min(PART_MINUTES, options.minutes - done)
                part = invented(engine, name, minutes, (options.seed, round(done * 60)))
                heard[name] = together(heard.get(name, {}), part)
                if options.out:
                    store_figures(options.out, result)
            print(f"{name:8}", *(f"{key} {value}" for key, value in heard[name].items()), flush=True)
    if not options.out:
        print(as_json(result["machine"]))
    return int(any(figures["words"] or figures["settled_words"] for figures in heard.values()))


if __name__ == "__main__":
    sys.exit(main())
