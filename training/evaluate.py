"""Word error rates of an exported `tiny` on speech that it was not trained on, measured with livecap itself.

Held-out sentences in training voices and in unseen voices, clean and in noise; natural synthetic voices; and a human
voice. A third of the sentences are templates of the training, filled anew. A set that has not been made, and the human
voice where it cannot be fetched, is left out with a message.

    python -m training.evaluate --work training/.work                 offline, each utterance alone
    python -m training.evaluate --live docs/benchmarks/sets.json      in sessions: offline, live and settled
    python -m training.evaluate --shards training/.work/shards        error rates on shards of speech, by kind of voice

With speech that was trained on and with shards of another seed, these tell how much the network has memorised.
"""

from __future__ import annotations

import argparse
import json
import subprocess
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from random import Random

import numpy as np
from numpy.typing import NDArray

from benchmarks.noises import KINDS, babble, mixed, speech_rms
from livecap.engine import Engine, EngineSettings
from livecap.eval.alignment import edit_distance
from livecap.eval.figures import streaming_gap
from livecap.eval.measurement import measure, total
from livecap.eval.modes import parse_mode
from livecap.eval.offline import offline_text
from livecap.eval.provenance import machine
from livecap.eval.reference import Reference
from livecap.eval.wer import normalise
from training.data import KIND_SHARES, kind_of
from training.human import human_prompts
from training.synth import KOKORO_SHARD_SECONDS, SHARD_SECONDS, read_shard
from training.voices import RATE, Spoken

HUMAN = "human"
Wave = NDArray[np.float32]
"""[n] samples at 16 kHz."""
SETS = ("seen", "unseen", "natural_seen", "natural_unseen", HUMAN)
NOISES = (("clean", "", 0.0), ("noise_20_db", "white", 20.0), ("noise_10_db", "white", 10.0)) + tuple(
    (f"{kind}_10_db", kind, 10.0) for kind in ("typing", "music", "babble", "fan")
)
"""(name of the figure, kind of noise, decibels of the voice above it). All but the first are only for the voices of
espeak-ng and flite."""
STRETCH_SECONDS = 120
"""The human voice is also measured in stretches of this length; the worst one counts."""
PAUSE_SECONDS = 1.0
"""The silence before and after each utterance of a session. Every utterance of the stream ends in it."""
SESSION_RMS = 0.07
"""The level of every utterance of a session, so that each is as far above the noise as the others."""
STEP_COST = 0.05
"""Seconds that a step of the stream is assumed to cost, so that the same text comes from every machine."""
FROM_SHARDS, MOST_SHARDS = 240, 8
"""How many utterances of a kind of voice are measured with --shards, and from how many shards at most."""


@dataclass(frozen=True)
class TestSet:
    """Utterances to measure on, in one kind of noise or none."""

    name: str
    utterances: list[Spoken]
    noise: str = ""
    snr_db: float = 0.0

    @property
    def texts(self) -> list[str]:
        return [spoken.text for spoken in self.utterances]

    @property
    def waves(self) -> list[Wave]:
        """[n] samples of each utterance, without the noise."""
        return [wave_of(spoken) for spoken in self.utterances]

    def sessions(self) -> Iterator[tuple[str, Wave]]:
        """(text, samples) of STRETCH_SECONDS or a little more: utterances at SESSION_RMS, PAUSE_SECONDS around each."""
        pause = np.zeros(round(PAUSE_SECONDS * RATE), np.float32)
        texts, pieces, n_samples = [], [pause], len(pause)
        for text, wave in zip(self.texts, self.waves, strict=True):
            texts.append(text)
            pieces += [wave * np.float32(SESSION_RMS / speech_rms(wave)), pause]
            n_samples += len(wave) + len(pause)
            if n_samples >= STRETCH_SECONDS * RATE:
                yield " ".join(texts), np.concatenate(pieces)
                texts, pieces, n_samples = [], [pause], len(pause)
        if texts:
            yield " ".join(texts), np.concatenate(pieces)

    def in_noise(self, waves: Iterable[Wave]) -> Iterator[Wave]:
        """The sounds with the noise of this set below the voice, in 16 bits; the same on every run."""
        random = np.random.default_rng(3)
        kinds: dict[str, Callable[[int, np.random.Generator], Wave]]
        kinds = {**KINDS, "babble": partial(babble, voices=self.waves[:8])}
        for clean in waves:
            if self.noise:
                loud = mixed(clean, kinds[self.noise](len(clean), random), self.snr_db)
                yield np.trunc(loud / max(1.0, float(np.abs(loud).max())) * 32767) / np.float32(32768)
            else:
                yield clean


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
    parser.add_argument(
        "--live", type=Path, metavar="FILE", help="measure the sets in sessions, and write FILE instead"
    )
    options = parser.parse_args()
    if options.shards:
        with Engine.load(EngineSettings(options.model)) as engine:
            print_of_shards(engine, options.shards)
        return
    if options.live:
        with Engine.load(EngineSettings(options.model)) as engine:
            chosen = test_sets(options.work, options.sets or SETS, options.every)
            rows = {test.name: live_figures(engine, test) for test in chosen}
        if options.sets and options.live.exists():
            rows = json.loads(options.live.read_text())["sets"] | rows
        conditions = {"machine": machine(), "model": options.model, "step_cost_seconds": STEP_COST}
        options.live.write_text(json.dumps(conditions | {"sets": rows}, indent=2) + "\n")
        return
    if options.sets:
        results = json.loads(options.to.read_text())
    else:
        results = json.loads((options.work / "progress.json").read_text())
        results["hours_of_speech"] = hours_of_speech(options.work / "shards")
    with Engine.load(EngineSettings(options.model)) as engine:
        for test in test_sets(options.work, options.sets or SETS, options.every):
            found = errors(engine, test.texts, test.in_noise(test.waves))
            if not test.noise:
                results[f"utterances_{test.name}"] = len(found)
            results[f"wer_{test.name}"] = said(test.name, rate(found))
            if test.name == HUMAN:
                results["wer_human_worst_two_minutes"] = said("human, worst two minutes", worst(test.waves, found))
    options.to.write_text(json.dumps(results, indent=2) + "\n")


def test_sets(work: Path, names: Sequence[str], every: int) -> Iterator[TestSet]:
    """The sets of these names, each in every noise that is for it; one that is not there is left out with a message."""
    for name in names:
        if name == HUMAN:
            try:
                yield TestSet(name, human_prompts(work)[::every])
            except (SystemExit, OSError, subprocess.CalledProcessError) as error:
                print(f"{name}: {error}")
        elif (path := work / f"held_out_{name}.pickle").exists():
            test = read_shard(path)[::every]
            for noise, kind, snr_db in NOISES[: 1 if name.startswith("natural") else None]:
                yield TestSet(f"{name}_{noise}", test, kind, snr_db)
        else:
            print(f"{name}: there is no {path}")


def live_figures(engine: Engine, test: TestSet) -> dict[str, object]:
    """The error rates of a set, heard as sessions in the default mode, and how much higher than offline each is, with
    95% intervals."""
    mode = parse_mode("default", STEP_COST)
    texts, waves = zip(*test.sessions(), strict=True)
    parts = []
    for text, wave in zip(texts, test.in_noise(waves), strict=True):
        reference = Reference(test.name, wave, text, ())
        parts.append(measure(engine, reference, mode, offline_text(engine, wave), STEP_COST))
    errors = total(parts).errors
    minutes = round(sum(part.sound_seconds for part in parts) / 60, 1)
    row: dict[str, object] = {"minutes": minutes, "words": errors["offline"].n_words}
    row |= {name: round(counts.wer, 4) for name, counts in errors.items()}
    row |= {f"{name}_gap": streaming_gap(parts, name) for name in ("stable", "final")}
    print(test.name, json.dumps(row), flush=True)
    return row


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
            found = errors(engine, [spoken.text for spoken in test], map(wave_of, test))
            said(kind or "espeak-ng and flite", rate(found))


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


def wave_of(spoken: Spoken) -> Wave:
    """[n] samples of an utterance."""
    return spoken.samples.astype(np.float32) / np.float32(32768)


def errors(engine: Engine, texts: Iterable[str], waves: Iterable[Wave]) -> list[tuple[int, int]]:
    """(wrong words, words) of each utterance."""
    found = []
    for text, wave in zip(texts, waves, strict=True):
        expected = normalise(text)
        found.append((edit_distance(expected, normalise(offline_text(engine, wave))), len(expected)))
    return found


def rate(found: Sequence[tuple[int, int]]) -> float:
    """The word error rate over all utterances."""
    return sum(wrong for wrong, _ in found) / sum(n for _, n in found)


def worst(waves: Sequence[Wave], found: Sequence[tuple[int, int]]) -> float:
    """The highest word error rate of a stretch of STRETCH_SECONDS; a shorter rest at the end does not count."""
    rates, begin, seconds = [rate(found)], 0, 0.0
    for i, wave in enumerate(waves):
        seconds += len(wave) / RATE
        if seconds >= STRETCH_SECONDS:
            rates.append(rate(found[begin : i + 1]))
            begin, seconds = i + 1, 0.0
    return max(rates)


if __name__ == "__main__":
    main()
