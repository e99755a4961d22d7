"""Shards of synthetic speech, made by a separate process while training already runs."""

from __future__ import annotations

import argparse
import pickle
import random
import time
from pathlib import Path

from training.sentences import held_out_sentences, training_sentences
from training.voices import RATE, Speakers, Spoken

SHARD_SECONDS, KOKORO_SHARD_SECONDS = 1200, 300

MOST_HOURS = 60.0
"""How much speech each process that makes examples keeps in memory (7 GB), divided among the kinds by their shares in
`data.py`; more shards are not used."""


def write_shard(path: Path, utterances: list[Spoken]) -> None:
    """Write a shard completely or not at all."""
    part = path.with_suffix(".part")
    with part.open("wb") as file:
        pickle.dump(utterances, file, protocol=pickle.HIGHEST_PROTOCOL)
    part.rename(path)


def read_shard(path: Path) -> list[Spoken]:
    with path.open("rb") as file:
        out: list[Spoken] = pickle.load(file)
    return out


def speak_held_out(corpus: Path, n: int, unseen: bool) -> list[Spoken]:
    """The test set: the same sentences in training voices or in unseen voices; a fifth of them by flite."""
    speakers, choice = Speakers(), random.Random(4242 + unseen)
    out = []
    for i, text in enumerate(held_out_sentences(corpus, n)):
        spoken = speakers.say(text, choice, unseen, flite=i % 5 == 0)
        if spoken is not None:
            out.append(spoken)
    return out


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--corpus", type=Path, default=Path("../shared/corpus/english.txt"))
    parser.add_argument("--work", type=Path, default=Path("training/.work"))
    parser.add_argument("--hours", type=float, default=40)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    shards = options.work / "shards"
    shards.mkdir(parents=True, exist_ok=True)
    for unseen in (False, True):
        path = options.work / f"held_out_{'unseen' if unseen else 'seen'}.pickle"
        if not path.exists():
            write_shard(path, speak_held_out(options.corpus, 300, unseen))
    done = len(list(shards.glob("[0-9]*.pickle")))
    speakers = Speakers()
    start = time.time()
    for index in range(done, round(options.hours * 3600 / SHARD_SECONDS)):
        choice = random.Random(f"{options.seed} {index}")
        sentences = training_sentences(options.corpus, choice.getrandbits(32), options.work)
        utterances, seconds = [], 0.0
        while seconds < SHARD_SECONDS:
            spoken = speakers.say(next(sentences), choice)
            if spoken is not None:
                utterances.append(spoken)
                seconds += len(spoken.samples) / RATE
        write_shard(shards / f"{index:05}.pickle", utterances)
        print(f"shard {index} after {time.time() - start:.0f} s", flush=True)


if __name__ == "__main__":
    main()
