"""Training examples, made on the fly: joined utterances, cut off or with noise, and the words they contain."""

from __future__ import annotations

import io
import random
import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
import soxr
from scipy.fft import irfft, next_fast_len, rfft
from scipy.signal import fftconvolve

from benchmarks.noises import KINDS, babble, mixed
from training.network import CHARACTERS
from training.synth import MOST_HOURS, read_shard
from training.voices import RATE, Spoken

CUT_TOLERANCE = 0.02
"""How many seconds of a word's end may be cut off while the word still counts as spoken."""
NOISE_SHARE, ROOM_SHARE, CHANNEL_SHARE, SPEED_SHARE, NOTHING_SHARE = 0.5, 0.2, 0.3, 0.45, 0.06
"""Shares of the augmented examples: with noise, with reverberation, through a channel, at another speed, no speech."""
ALONE_SHARE, ALONE_SECONDS = 0.15, (0.5, 3.0)
"""The share of batches of such short examples, each of one whole utterance: a command, a number, an answer."""
KIND_SHARES = {"": 0.36, "hibari": 0.18, "kokoro": 0.32, "pico": 0.08, "ked": 0.06}
"""The share of utterances drawn from each kind of shard, by the word in the shard's name; "" is espeak-ng and flite.
An utterance without word times that would be cut is replaced, so pico and ked are heard a little less."""
FULL_HOURS = 4.0
"""Hours of speech from which a kind has its full share. With less, the share is smaller in proportion: the network
would memorise a few sentences."""
SPLICED_SHARE, FADE = 0.5, 80
"""The share of the joined utterances that begin as one and end as another of the same kind, and the samples of the fade
out and in where they meet. A sentence that was heard before does not tell how such an utterance goes on."""
KEPT_PIECES, PIECE_SECONDS, NEW_PIECE_SHARE = 8, 31, 0.04
"""How many pieces of each kind of noise a process keeps, their length in seconds (no example is longer), and the share
of uses that first replace the oldest piece."""
OPUS_SECONDS = 8
"""Only shorter sound goes through Opus, which takes 20 ms for each second of sound."""
PUNCTUATION_SECONDS = 0.15
"""Punctuation corresponds to a pause: text that ends sooner after its last word has none."""


@dataclass(frozen=True)
class Example:
    wave: np.ndarray
    """[n] float32 samples at 16 kHz."""
    text: str
    """The spoken text; empty where nobody speaks."""


def kind_of(shard: Path) -> str:
    """The kind of voice in a shard, of KIND_SHARES."""
    return next((kind for kind in KIND_SHARES if f"_{kind}_" in shard.name), "")


class Pool:
    """What examples are made of: utterances of the existing shards, by the kind of their voice, and pieces of noise.

    Args:
        folder: the shards; new ones are read as they appear.
        seed: sets the order in which shards are read. If there is more than MOST_HOURS of speech, pools with different
            seeds hold different shards.

    Raises:
        SystemExit: by `refresh`, if there is no shard with word times yet. Without them no example could be filled up.
    """

    def __init__(self, folder: Path, seed: int) -> None:
        self._folder = folder
        self._order = random.Random(f"order {seed}")
        self._known: set[Path] = set()
        self._hours: defaultdict[str, float] = defaultdict(float)
        self._kinds: dict[str, list[Spoken]] = {}
        self._pieces: defaultdict[str, list[np.ndarray]] = defaultdict(list)

    def refresh(self) -> None:
        """Read new shards, until a kind has its share of MOST_HOURS."""
        paths = sorted(self._folder.glob("*.pickle"))
        self._order.shuffle(paths)
        for path in paths:
            kind = kind_of(path)
            if path not in self._known and self._hours[kind] < MOST_HOURS * KIND_SHARES[kind]:
                self._known.add(path)
                shard = read_shard(path)
                self._hours[kind] += sum(len(spoken.samples) for spoken in shard) / RATE / 3600
                self._kinds.setdefault(kind, []).extend(shard)
        if all(utterances[0].starts[0] < 0 for utterances in self._kinds.values()):
            raise SystemExit(f"There is no speech with word times in {self._folder} yet: make speech first.")

    def take(self, choice: random.Random, splice: bool = False) -> Spoken:
        """A random utterance: first a kind, by KIND_SHARES (less below FULL_HOURS), then an utterance of that kind.

        Args:
            splice: two utterances of the kind, `spliced`.
        """

        def weight(kind: str) -> float:
            return KIND_SHARES[kind] * min(1, self._hours[kind] / min(FULL_HOURS, MOST_HOURS * KIND_SHARES[kind]))

        kinds = list(self._kinds)
        utterances = self._kinds[choice.choices(kinds, [weight(kind) for kind in kinds])[0]]
        spoken = choice.choice(utterances)
        return spliced(spoken, choice.choice(utterances), choice) if splice else spoken

    def noise(self, choice: random.Random, noise: np.random.Generator, n: int) -> np.ndarray:
        """[n] noise of a random kind with an RMS of 1. Each piece is used for many examples, from a random start,
        because 30 s of music take a quarter of a second to make."""
        kind = choice.choice(list(KINDS))
        pieces = self._pieces[kind]
        if len(pieces) < KEPT_PIECES or choice.random() < NEW_PIECE_SHARE:
            pieces.append(KINDS[kind](PIECE_SECONDS * RATE, noise))
            del pieces[:-KEPT_PIECES]
        piece = choice.choice(pieces)
        start = choice.randrange(len(piece) - n + 1)
        part = piece[start : start + n]
        return part / max(0.3, float(np.sqrt(np.mean(np.square(part)))))  # a pause between two keys stays quiet


def spliced(first: Spoken, second: Spoken, choice: random.Random) -> Spoken:
    """The first words of one utterance and the last words of another, each cut between two words.

    `first` as it is where a word time is unknown, or where an utterance has one word only.
    """
    if first.starts[0] < 0 or second.starts[0] < 0 or min(len(first.words), len(second.words)) < 2:
        return first
    i, j = choice.randrange(1, len(first.words)), choice.randrange(1, len(second.words))
    stop, start = (first.ends[i - 1] + first.starts[i]) // 2, (second.ends[j - 1] + second.starts[j]) // 2
    head, tail = first.samples[:stop].astype(np.float32), second.samples[start:].astype(np.float32)
    fade = np.linspace(0, 1, FADE, dtype=np.float32)
    head[-FADE:] *= fade[::-1][-len(head) :]
    tail[:FADE] *= fade[: len(tail)]
    moved = stop - start
    return Spoken(
        np.concatenate([head, tail]).astype(np.int16),
        [*first.words[:i], *second.words[j:]],
        np.concatenate([first.starts[:i], second.starts[j:] + moved]),
        np.concatenate([np.minimum(first.ends[:i], stop), second.ends[j:] + moved]),
        first.voice,
    )


def make_example(choice: random.Random, pool: Pool, seconds: float, augment: bool) -> Example:
    """Make one example of about `seconds` of sound."""
    noise = np.random.default_rng(choice.getrandbits(32))
    n = round(seconds * RATE)
    if augment and choice.random() < NOTHING_SHARE:
        return Example(_level(_nothing(choice, noise, n, pool), choice), "")
    wave, words, wholes = _joined(choice, pool, n, augment)
    start = 0
    if augment and choice.random() < 0.25:
        start = choice.randrange(min(len(wave) // 3, RATE * 4) + 1)
        start = next((first for first, last in wholes if first < start < last), start)
    stop = min(len(wave), start + n)
    kept = [
        (word, a - start, b - start)
        for word, a, b in words
        if a >= start and b <= stop + CUT_TOLERANCE * RATE
    ]  # fmt: skip
    text = " ".join(word for word, _, _ in kept)
    if kept and stop - start - kept[-1][2] < PUNCTUATION_SECONDS * RATE:
        text = text.rstrip(".,;:?!-")
    wave = wave[start:stop]
    return _changed(wave, text, choice, noise, pool) if augment else Example(wave, text)


def _changed(wave: np.ndarray, text: str, choice: random.Random, noise: np.random.Generator, pool: Pool) -> Example:
    """The example after rooms, channels, other levels and noise."""
    if choice.random() < ROOM_SHARE:
        wave = _in_a_room(wave, choice, noise)
    if choice.random() < CHANNEL_SHARE:
        wave = _through_a_channel(wave, choice)
    wave = _level(wave, choice)
    if choice.random() < NOISE_SHARE:
        wave = _with_noise(wave, choice, noise, pool)
    return Example(wave.astype(np.float32), text)


def make_alone(choice: random.Random, pool: Pool, seconds: float, augment: bool) -> Example:
    """Make an example of one whole utterance of about `seconds`, with little silence around it."""
    noise = np.random.default_rng(choice.getrandbits(32))
    spoken = min((pool.take(choice) for _ in range(12)), key=lambda one: abs(len(one.samples) / RATE - seconds))
    sound = spoken.samples.astype(np.float32) / 32768
    if augment and choice.random() < SPEED_SHARE:
        sound = soxr.resample(sound, RATE * choice.uniform(0.87, 1.15), RATE, quality="MQ")
    before, after = (np.zeros(round(choice.uniform(0, 0.4) ** 2 * 2.5 * RATE), np.float32) for _ in range(2))
    wave = np.concatenate([before, sound, after])
    return _changed(wave, spoken.text, choice, noise, pool) if augment else Example(wave, spoken.text)


def _joined(choice: random.Random, pool: Pool, n: int, augment: bool) -> tuple[np.ndarray, list, list]:
    """At least `n` samples of utterances with pauses between them, their words with start and end, and the start and
    end of the utterances that must not be cut, since their word times are unknown. These end within the first `n`."""
    pieces, words, wholes = [], [], []
    at = 0
    if choice.random() < 0.6:
        at = round(choice.choice([0.2, 0.5, 1.0, 3.0 if n > 8 * RATE else 0.5]) * choice.random() * RATE)
        pieces.append(np.zeros(at, np.float32))
    steady = choice.random() < 0.5
    speed = choice.uniform(0.87, 1.15)
    while at < n:
        spoken = pool.take(choice, splice=augment and choice.random() < SPLICED_SHARE)
        sound = spoken.samples.astype(np.float32) / 32768
        starts, ends = spoken.starts.astype(np.float64), spoken.ends.astype(np.float64)
        if augment and choice.random() < SPEED_SHARE:
            # At another speed, pitch and formants change together, as between two speakers.
            speed = speed if steady else choice.uniform(0.87, 1.15)
            sound = soxr.resample(sound, RATE * speed, RATE, quality="QQ" if speed < 1 else "MQ")
            starts, ends = starts / speed, ends / speed
        if starts[0] < 0:
            if at + len(sound) > n:
                continue  # it would be cut: another one
            wholes.append((at, at + len(sound)))
            starts, ends = np.zeros(len(starts)), np.full(len(ends), len(sound))
        peak = float(np.abs(sound).max()) or 1.0
        sound = sound * (choice.uniform(0.5, 1.0) / peak)
        words += [(w, at + int(a), at + int(b)) for w, a, b in zip(spoken.words, starts, ends, strict=True)]
        pieces.append(sound)
        at += len(sound)
        pause = choice.choices([choice.uniform(0.05, 0.4), choice.uniform(0.3, 1.2), choice.uniform(1, 4)], [5, 5, 2])[
            0
        ]
        if len(words) and at + pause * RATE >= n and choice.random() < 0.5:
            pause += choice.uniform(0.2, 1.5)
        pieces.append(np.zeros(round(pause * RATE), np.float32))
        at += len(pieces[-1])
    return np.concatenate(pieces), words, wholes


def _level(wave: np.ndarray, choice: random.Random) -> np.ndarray:
    peak = float(np.abs(wave).max()) or 1.0
    return wave * (10 ** (choice.uniform(-32, -1) / 20) / peak)


def _nothing(choice: random.Random, noise: np.random.Generator, n: int, pool: Pool) -> np.ndarray:
    if choice.random() < 0.3:
        return noise.standard_normal(n).astype(np.float32) * 1e-5
    return pool.noise(choice, noise, n)


def _with_noise(wave: np.ndarray, choice: random.Random, noise: np.random.Generator, pool: Pool) -> np.ndarray:
    if choice.random() < 0.2:
        voices = [pool.take(choice).samples.astype(np.float32) for _ in range(8)]
        added, snr = babble(len(wave), noise, voices, choice.randint(3, 8)), choice.uniform(5, 30)
    else:
        added, snr = pool.noise(choice, noise, len(wave)), choice.uniform(0, 35)
    return mixed(wave, added, snr)


def _through_a_channel(wave: np.ndarray, choice: random.Random) -> np.ndarray:
    """What a microphone and a line do: a tilted or dented spectrum, a narrow band, 8 bits of a telephone, Opus."""
    n = next_fast_len(len(wave), real=True)
    spectrum = rfft(wave, n)
    frequency = np.linspace(0, RATE / 2, len(spectrum), dtype=np.float32)
    gain_db = choice.uniform(-6, 6) * np.log2(np.maximum(frequency, 100) / 1000) / 2
    for _ in range(choice.randint(0, 3)):
        centre, width = choice.uniform(150, 7000), choice.uniform(0.2, 1.0)
        gain_db += choice.uniform(-8, 8) * np.exp(-np.square(np.log2(np.maximum(frequency, 20) / centre) / width))
    kind = choice.random()
    if kind < 0.35:  # a telephone: 300 to 3400 Hz
        gain_db -= 40 * ((frequency < 250) | (frequency > 3600))
    elif kind < 0.5:
        gain_db -= 40 * (frequency > choice.uniform(3800, 7000))
    out = irfft(spectrum * 10 ** (np.clip(gain_db, -60, 20) / 20), n)[: len(wave)].astype(np.float32)
    if kind < 0.25:  # G.711: 8 bits, logarithmic
        peak = float(np.abs(out).max()) or 1.0
        small = np.log1p(255 * np.abs(out) / peak) / np.log(256)
        out = np.sign(out) * np.expm1(np.round(small * 127) / 127 * np.log(256)) / 255 * peak
    elif kind > 0.93 and len(out) < OPUS_SECONDS * RATE:
        out = _through_opus(out, choice.uniform(0.9, 1.0))
    return out


def _through_opus(wave: np.ndarray, compression: float) -> np.ndarray:
    """The sound as a call transmits it, of the same length.

    Args:
        compression: of libsndfile, 0..1. 1 is 7 kbit/s, 0.9 is 30 kbit/s.
    """
    peak = float(np.abs(wave).max()) or 1.0
    file = io.BytesIO()
    soundfile.write(file, wave / peak, RATE, format="OGG", subtype="OPUS", compression_level=compression)
    file.seek(0)
    heard, _ = soundfile.read(file, dtype="float32")
    out = np.zeros_like(wave)
    out[: len(heard)] = heard[: len(wave)] * peak
    return out


def _in_a_room(wave: np.ndarray, choice: random.Random, noise: np.random.Generator) -> np.ndarray:
    """The sound with reverberation: convolved with decaying noise, added after the direct sound."""
    seconds = choice.uniform(0.1, 0.5)
    n = round(seconds * RATE)
    tail = noise.standard_normal(n) * np.exp(-6.9 * np.arange(n) / n)
    tail[: round(0.002 * RATE)] = 0
    tail *= choice.uniform(0.05, 0.5) / np.sqrt(np.sum(tail**2))
    tail[0] = 1
    out: np.ndarray = fftconvolve(wave, tail.astype(np.float32))[: len(wave)]
    return out


def characters(text: str) -> list[int]:
    """A text as classes of the character head."""
    plain = re.sub(r"[^a-z' ]+", " ", text.lower().replace("-", " "))
    return [CHARACTERS.index(c) + 1 for c in " ".join(plain.split())]


def batches(
    folder: Path, seed: int, lengths: int, seconds_per_batch: object, longest: object, augment: object
) -> Iterator[list[Example]]:
    """Endless batches of examples of similar length.

    Args:
        lengths: the seed of the batches' lengths. Where several processes take a step together, none waits long for the
            others if their batches have the same lengths.
        longest: a shared value that may change, as do `augment` and `seconds_per_batch`.
    """
    choice, length = random.Random(seed), random.Random(lengths)
    pool = Pool(folder, seed)
    made = 0
    while True:
        if made % 100 == 0:
            pool.refresh()
        made += 1
        most = longest.value  # type: ignore[attr-defined]
        if length.random() < ALONE_SHARE:
            alone = length.uniform(*ALONE_SECONDS)
            n = round(seconds_per_batch.value / (alone + 0.5))  # type: ignore[attr-defined]
            yield [make_alone(choice, pool, alone, bool(augment.value)) for _ in range(n)]  # type: ignore[attr-defined]
            continue
        seconds = length.uniform(1.5, most) if length.random() < 0.7 else length.uniform(max(1.5, most * 0.6), most)
        n = max(2, round(seconds_per_batch.value / seconds))  # type: ignore[attr-defined])
        yield [
            make_example(choice, pool, seconds * choice.uniform(0.9, 1), bool(augment.value))  # type: ignore[attr-defined]
            for _ in range(n)
        ]
