"""Offline word error rates of an exported `tiny` on held-out sentences, measured with livecap itself.

The sentences are spoken in training voices and in unseen voices, clean and in white noise.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np

from livecap.eval.alignment import edit_distance
from livecap.eval.wer import normalise
from livecap.model.checkpoint.load import LoadedModel, load
from livecap.transcribe.files import transcribe
from training.synth import MOST_HOURS, read_shard
from training.voices import Spoken


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, default=Path("training/.work"))
    parser.add_argument("--model", default="livecap/tiny")
    parser.add_argument("--to", type=Path, default=Path("training/results.json"))
    options = parser.parse_args()
    loaded = load(options.model)
    results = json.loads((options.work / "progress.json").read_text())
    n_shards = len(list((options.work / "shards").glob("*.pickle")))
    results["hours_of_speech"] = round(min(n_shards / 3, MOST_HOURS), 1)
    for voices in ("seen", "unseen"):
        test = read_shard(options.work / f"held_out_{voices}.pickle")
        results[f"sentences_{voices}"] = len(test)
        for name, noise_db in (("clean", None), ("noise_20_db", 20.0), ("noise_10_db", 10.0)):
            results[f"wer_{voices}_{name}"] = round(word_errors(loaded, test, noise_db), 4)
            print(f"{voices} {name}: {results[f'wer_{voices}_{name}']:.2%}", flush=True)
    options.to.write_text(json.dumps(results, indent=2) + "\n")


def word_errors(loaded: LoadedModel, test: list[Spoken], noise_db: float | None) -> float:
    """The word error rate over all sentences, with noise this many dB below the voice."""
    random = np.random.default_rng(3)
    wrong = n_words = 0
    for spoken in test:
        wave = spoken.samples.astype(np.float32) / 32768
        if noise_db is not None:
            level = float(np.sqrt(np.mean(wave**2)))
            wave = wave + random.standard_normal(len(wave)).astype(np.float32) * level * 10 ** (-noise_db / 20)
        expected = normalise(spoken.text)
        n_words += len(expected)
        wrong += edit_distance(expected, normalise(transcribe(loaded, wave)))
    return wrong / n_words


if __name__ == "__main__":
    main()
