"""Sessions to measure the stream with: minutes of speech with word times, in unseen voices and texts.

    python -m training.sessions --out sessions --minutes 120 --seed 1

Each session is a FLAC file with its text (.txt) and its words (.words.json) beside it, as `livecap eval` reads them.
The same seed makes the same sessions. The kinds of sessions alternate.
"""

from __future__ import annotations

import argparse
import json
import random
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile

from benchmarks import noises
from training.sentences import UNITS, meeting_sentence, read_corpus, splice
from training.voices import RATE, UNSEEN_ESPEAK, UNSEEN_FLITE, Speakers, Spoken

CORPUS = Path(__file__).resolve().parent.parent.parent / "shared" / "corpus" / "english.txt"
FLOOR_DB = -70.0
"""The level of the quiet noise in every session, in dBFS."""
NOISE_DB = -42.0
"""The level of loud background noise, in dBFS."""
SPEECH_LEVEL, QUIET_LEVEL = 0.5, 0.02
"""Peak levels: near the microphone, and far from it (about -45 dBFS on average)."""
REPEATS = ["no", "yes", "very", "go", "okay", "stop", "ha", "really"]


class Stage:
    """A session that is being made: its voices and its words so far."""

    def __init__(self, speakers: Speakers, books: list[str], seed: int) -> None:
        self.choice = random.Random(seed)
        self._noise = np.random.default_rng(seed)
        self._speakers = speakers
        self._books = books
        self._pieces: list[np.ndarray] = []
        self._n_samples = 0
        self.words: list[dict] = []
        self.paragraphs: list[str] = []

    @property
    def seconds(self) -> float:
        return self._n_samples / RATE

    def cast(self, n: int) -> list[tuple[str, int, int]]:
        """Choose voices, each with its own speed and pitch; sometimes one of them is from flite."""
        names = self.choice.sample(UNSEEN_ESPEAK, n)
        if self.choice.random() < 0.25:
            names[0] = UNSEEN_FLITE[0]
        return [(name, self.choice.randint(140, 190), self.choice.randint(30, 70)) for name in names]

    def sentence(self) -> str:
        """A random text: a held-out sentence from a book, meeting talk, or spliced fragments."""
        kind = self.choice.random()
        if kind < 0.4:
            return self.book_sentence()
        return meeting_sentence(self.choice) if kind < 0.8 else splice(self.choice, self._books)

    def book_sentence(self) -> str:
        """A held-out sentence from a book."""
        return self.choice.choice(self._books)

    def silence(self, seconds: float) -> None:
        self._append(np.zeros(round(seconds * RATE), np.float32))

    def say(self, text: str, voice: tuple[str, int, int], level: float = SPEECH_LEVEL, speaker: str = "") -> bool:
        """Add `text` with this peak level; False where the synthesiser dropped words."""
        name, rate, pitch = voice
        if name in UNSEEN_FLITE:
            spoken = self._speakers.flite(text, name, 160 / rate)
        else:
            spoken = self._speakers.espeak(text, name, rate, pitch, 50)
        if spoken is None:
            return False
        self._add(spoken, level, speaker)
        return True

    def _add(self, spoken: Spoken, level: float, speaker: str) -> None:
        sound = spoken.samples.astype(np.float32)
        sound *= level / max(1.0, float(np.abs(sound).max()))
        for word, start, end in zip(spoken.words, spoken.starts, spoken.ends, strict=True):
            at = [round((self._n_samples + int(edge)) / RATE, 3) for edge in (start, end)]
            self.words.append({"word": word, "start": at[0], "end": at[1]} | ({"speaker": speaker} if speaker else {}))
        self.paragraphs.append(" ".join(spoken.words))
        self._append(sound)

    def _append(self, sound: np.ndarray) -> None:
        self._pieces.append(sound)
        self._n_samples += len(sound)

    def sound(self, floor_db: float, noise: str = "") -> np.ndarray:
        """The whole sound with background noise of `floor_db` dBFS (RMS), as int16.

        Args:
            noise: one of `noises.KINDS` to add, 5 to 15 dB below the speech.
        """
        sound = np.concatenate(self._pieces)
        white = self._noise.standard_normal(len(sound) + 100).astype(np.float32)
        room = np.convolve(white, (0.95 ** np.arange(101)).astype(np.float32), mode="valid")
        room *= 10 ** (floor_db / 20) / float(np.sqrt(np.mean(room**2)))
        sound = sound + room
        if noise:
            added = noises.KINDS[noise](len(sound), self._noise)
            sound = noises.mixed(sound, added, self.choice.uniform(5, 15))
            sound /= max(1.0, float(np.abs(sound).max()))
        return np.clip(np.round(sound * 32767), -32768, 32767).astype(np.int16)


def dictation(stage: Stage) -> Iterator[None]:
    """One voice with a pause after each sentence, and within long ones."""
    (voice,) = stage.cast(1)
    while True:
        words = stage.sentence().split()
        while words:
            n = len(words) if len(words) < 9 else stage.choice.randint(4, 8)
            stage.say(" ".join(words[:n]), voice)
            del words[:n]
            stage.silence(stage.choice.uniform(0.6, 2.0))
        yield


def sentences(stage: Stage) -> Iterator[None]:
    """One voice that dictates short sentences, with a pause after each."""
    (voice,) = stage.cast(1)
    while True:
        text = stage.sentence()
        if len(text.split()) <= 9:
            stage.say(text, voice)
            stage.silence(stage.choice.uniform(0.4, 1.6))
            yield


def prose(stage: Stage) -> Iterator[None]:
    """One voice that reads sentences of books without pauses, not even at a comma or a full stop."""
    (voice,) = stage.cast(1)
    while True:
        for clause in re.findall(r"\S.*?(?:[,;:.!?-]+(?=\s|$)|$)", stage.book_sentence()):
            stage.say(clause, voice)
            stage.silence(0.03)
        yield


def conversation(stage: Stage) -> Iterator[None]:
    """Two voices in turn, with short pauses."""
    cast = stage.cast(2)
    while True:
        for speaker, voice in zip("AB", cast, strict=True):
            for _ in range(stage.choice.randint(1, 3)):
                stage.say(stage.sentence(), voice, speaker=speaker)
                stage.silence(stage.choice.uniform(0.15, 0.8))
        yield


def continuous(stage: Stage) -> Iterator[None]:
    """One voice without pauses."""
    (voice,) = stage.cast(1)
    while True:
        text = stage.sentence()
        if not any(mark in text[:-1] for mark in ",;:.!?-"):
            stage.say(text, voice)
            stage.silence(0.04)
        yield


def meeting(stage: Stage) -> Iterator[None]:
    """Four voices at different levels."""
    cast = stage.cast(4)
    levels = [stage.choice.uniform(0.15, 0.7) for _ in cast]
    while True:
        i = stage.choice.randrange(4)
        stage.say(stage.sentence(), cast[i], levels[i], "ABCD"[i])
        stage.silence(stage.choice.choice([0.2, 0.3, 0.5, 0.9, 1.6]))
        yield


def silences(stage: Stage) -> Iterator[None]:
    """One or two sentences, then many seconds of silence."""
    (voice,) = stage.cast(1)
    while True:
        for _ in range(stage.choice.randint(1, 2)):
            stage.say(stage.sentence(), voice)
            stage.silence(0.4)
        stage.silence(stage.choice.uniform(5.0, 12.0))
        yield


def quiet(stage: Stage) -> Iterator[None]:
    """A speaker far from the microphone."""
    (voice,) = stage.cast(1)
    while True:
        stage.say(stage.sentence(), voice, QUIET_LEVEL)
        stage.silence(stage.choice.uniform(0.3, 1.2))
        yield


def repeats(stage: Stage) -> Iterator[None]:
    """Counting, and words that are said many times in a row."""
    (voice,) = stage.cast(1)
    while True:
        stage.say(stage.sentence(), voice)
        stage.silence(stage.choice.uniform(0.2, 0.8))
        if stage.choice.random() < 0.5:
            stage.say(" ".join([stage.choice.choice(REPEATS)] * stage.choice.randint(2, 8)) + ".", voice)
        else:
            stage.say(" ".join([*UNITS, "ten"][: stage.choice.randint(3, 10)]) + ".", voice)
        stage.silence(stage.choice.uniform(0.2, 0.8))
        yield


@dataclass(frozen=True)
class Kind:
    """A kind of session."""

    play: Callable[[Stage], Iterator[None]]
    floor_db: float = FLOOR_DB
    noise: str = ""
    """See `Stage.sound`."""


KINDS = {
    "dictation": Kind(dictation),
    "conversation": Kind(conversation),
    "continuous": Kind(continuous),
    "meeting": Kind(meeting),
    "silences": Kind(silences),
    "noise": Kind(conversation, NOISE_DB),
    "quiet": Kind(quiet),
    "repeats": Kind(repeats),
    "sentences": Kind(sentences),
    "prose": Kind(prose),
    "white": Kind(sentences, noise="white"),
    "hiss": Kind(sentences, noise="hiss"),
    "fan": Kind(sentences, noise="fan"),
}


def perform(kind: str, seconds: float, speakers: Speakers, books: list[str], seed: int) -> tuple[Stage, np.ndarray]:
    """Make a session of about this length; the session and its sound."""
    made = KINDS[kind]
    stage = Stage(speakers, books, seed)
    stage.silence(0.8)
    scenes = made.play(stage)
    while stage.seconds < seconds:
        next(scenes)
    stage.silence(1.5)
    return stage, stage.sound(made.floor_db, made.noise)


def write(folder: Path, name: str, stage: Stage, sound: np.ndarray) -> None:
    """Write the three files of a session."""
    soundfile.write(folder / f"{name}.flac", sound, RATE, subtype="PCM_16")
    (folder / f"{name}.txt").write_text("\n".join(stage.paragraphs) + "\n", encoding="utf-8")
    rows = ",\n".join(json.dumps(word) for word in stage.words)
    (folder / f"{name}.words.json").write_text(f"[\n{rows}\n]\n", encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder for the sessions")
    parser.add_argument("--minutes", type=float, default=120, help="total length of all sessions (default: 120)")
    parser.add_argument("--each", type=float, default=4, help="length of one session in minutes (default: 4)")
    parser.add_argument("--kinds", default=",".join(KINDS), help="kinds of sessions, which alternate (default: all)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--corpus", type=Path, default=CORPUS, help="file of sentences; the held-out ones are used")
    options = parser.parse_args()
    kinds = options.kinds.split(",")
    if unknown := sorted(set(kinds) - KINDS.keys()):
        parser.error(f"no kind named {', '.join(unknown)}; there are {', '.join(KINDS)}")
    if not options.corpus.is_file():
        parser.error(f"no sentences at {options.corpus}: give --corpus FILE, a sentence a line")
    options.out.mkdir(parents=True, exist_ok=True)
    _, books = read_corpus(options.corpus)
    speakers = Speakers()
    seconds = words = n = 0
    while seconds < options.minutes * 60:
        kind = kinds[n % len(kinds)]
        stage, sound = perform(kind, options.each * 60, speakers, books, options.seed * 100_000 + n)
        write(options.out, f"{n:03}-{kind}", stage, sound)
        seconds += len(sound) / RATE
        words += len(stage.words)
        n += 1
    print(f"{n} sessions in {options.out}: {seconds / 60:.0f} minutes, {words} words")


if __name__ == "__main__":
    main()
