"""Offline word error rates of an exported `tiny` on speech that it was not trained on, measured with livecap itself.

Held-out sentences in training voices and in unseen voices, clean and in noise; natural synthetic voices; and a human
voice. A third of the sentences are templates of the training, filled anew. A set that has not been made, and the human
voice where it cannot be fetched, is left out with a message.

    python -m training.evaluate --shards training/.work/shards        error rates on shards of speech, by kind of voice

With speech that was trained on and with shards of another seed, these tell how much the network has memorised.
"""

from __future__ import annotations

import argparse
import json
import subprocess
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from random import Random

import numpy as np
from numpy.typing import NDArray

from benchmarks.noises import KINDS, babble, mixed
from livecap.engine import Engine, EngineSettings
from livecap.eval.alignment import edit_distance
from livecap.eval.offline import offline_text
from livecap.eval.wer import normalise
from training.data import KIND_SHARES, kind_of
from training.human import human_prompts
from training.synth import KOKORO_SHARD_SECONDS, SHARD_SECONDS, read_shard
from training.voices import RATE, Spoken

SETS = ("seen", "unseen", "natural_seen", "natural_unseen", "human")
NOISES = (("noise_20_db", "white", 20.0), ("noise_10_db", "white", 10.0)) + tuple(
    (f"{kind}_10_db", kind, 10.0) for kind in ("typing", "music", "babble", "fan")
)
"""(name of the figure, kind of noise, decibels of the voice above it), for espeak-ng's and flite's voices."""
STRETCH_SECONDS = 120
"""The human voice is also measured in stretches of this length; the worst one counts."""
FROM_SHARDS, MOST_SHARDS = 240, 8
"""How many utterances of a kind of voice are measured with --shards, and from how many shards at most."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, default=Path("training/.work"))
    parser.add_argument("--model", default="livecap/tiny")
    parser.add_argument("--to", type=Path, default=Path("training/results.json"))
    parser.add_argument(
        "--sets", nargs="+", choices=SETS, help="measure only these; the other figures of the file stay as they are"
    )
    parser.add_argument("--every", type=int, default=1, metavar="N", help="only every Nth utterance, to be quick")
    parser.add_argument("--shards", type=Path, metavar="FOLDER", help="print the error rates on this speech instead")
    options = parser.parse_args()
    if options.shards:
        with Engine.load(EngineSettings(options.model)) as engine:
            print_of_shards(engine, options.shards)
        return
    if options.sets:
        results = json.loads(options.to.read_text())
    else:
        results = json.loads((options.work / "progress.json").read_text())
        results["hours_of_speech"] = hours_of_speech(options.work / "shards")
    chosen = options.sets or SETS
    with Engine.load(EngineSettings(options.model)) as engine:
        for name in chosen:
            if name == "human":
                continue
            path = options.work / f"held_out_{name}.pickle"
            if not path.exists():
                print(f"{name}: there is no {path}")
                continue
            test = read_shard(path)[:: options.every]
            results[f"sentences_{name}"] = len(test)
            results[f"wer_{name}_clean"] = said(f"{name} clean", rate(errors(engine, test)))
            for noise, kind, snr in NOISES if not name.startswith("natural") else ():
                figure = rate(errors(engine, in_noise(test, kind, snr)))
                results[f"wer_{name}_{noise}"] = said(f"{name} {noise}", figure)
        if "human" in chosen:
            try:
                prompts = human_prompts(options.work)[:: options.every]
            except (SystemExit, OSError, subprocess.CalledProcessError) as error:
                print(f"human: {error}")
            else:
                found = errors(engine, prompts)
                results["prompts_human"] = len(prompts)
                results["wer_human"] = said("human", rate(found))
                results["wer_human_worst_two_minutes"] = said("human, worst two minutes", worst(prompts, found))
    options.to.write_text(json.dumps(results, indent=2) + "\n")


def print_of_shards(engine: Engine, folder: Path) -> None:
    """Print the error rate of each kind of voice on some utterances of its shards, the same ones in every run."""
    choice = Random(5)
    for kind in KIND_SHARES:
        paths = [path for path in sorted(folder.glob("*.pickle")) if kind_of(path) == kind]
        if paths:
            chosen = choice.sample(paths, min(MOST_SHARDS, len(paths)))
            test = []
            for shard in map(read_shard, chosen):
                test += choice.sample(shard, min(FROM_SHARDS // len(chosen), len(shard)))
            said(kind or "espeak-ng and flite", rate(errors(engine, test)))


def said(what: str, figure: float) -> float:
    """Print a figure; the figure, rounded."""
    print(f"{what}: {figure:.2%}", flush=True)
    return round(figure, 4)


def hours_of_speech(shards: Path) -> float:
    """The hours of speech that training could draw from."""
    seconds = sum(
        KOKORO_SHARD_SECONDS if "_kokoro_" in path.name else SHARD_SECONDS for path in shards.glob("*.pickle")
    )
    return round(seconds / 3600, 1)


def sound(spoken: Spoken) -> NDArray[np.float32]:
    """[n] samples of an utterance."""
    return spoken.samples.astype(np.float32) / np.float32(32768)


def errors(engine: Engine, test: Sequence[Spoken]) -> list[tuple[int, int]]:
    """(wrong words, words) of each utterance."""
    found = []
    for spoken in test:
        expected = normalise(spoken.text)
        heard = normalise(offline_text(engine, sound(spoken)))
        found.append((edit_distance(expected, heard), len(expected)))
    return found


def rate(found: Sequence[tuple[int, int]]) -> float:
    """The word error rate over all utterances."""
    return sum(wrong for wrong, _ in found) / sum(n for _, n in found)


def worst(test: Sequence[Spoken], found: Sequence[tuple[int, int]]) -> float:
    """The highest word error rate of a stretch of STRETCH_SECONDS; a shorter rest at the end does not count."""
    rates, begin, seconds = [rate(found)], 0, 0.0
    for i, spoken in enumerate(test):
        seconds += len(spoken.samples) / RATE
        if seconds >= STRETCH_SECONDS:
            rates.append(rate(found[begin : i + 1]))
            begin, seconds = i + 1, 0.0
    return max(rates)


def in_noise(test: Sequence[Spoken], kind: str, snr_db: float) -> list[Spoken]:
    """The utterances with noise this many decibels below the voice; the same on every run."""
    random = np.random.default_rng(3)
    kinds: dict[str, Callable[[int, np.random.Generator], NDArray[np.float32]]]
    kinds = {**KINDS, "babble": partial(babble, voices=[sound(spoken) for spoken in test[:8]])}
    found = []
    for spoken in test:
        clean = sound(spoken)
        loud = mixed(clean, kinds[kind](len(clean), random), snr_db)
        samples = (loud / max(1.0, float(np.abs(loud).max())) * 32767).astype(np.int16)
        found.append(Spoken(samples, spoken.words, spoken.starts, spoken.ends, spoken.voice))
    return found


if __name__ == "__main__":
    main()
