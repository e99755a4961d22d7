"""The recordings in `recordings/`: speech that the model was not trained on, with text and word times.

Run as `python -m training.recordings` from the repository's root.
"""

from __future__ import annotations

import argparse
import json
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import soundfile
from scipy.signal import lfilter

from training.natural import HIBARI, NaturalVoices
from training.sentences import held_out_sentences, meeting_sentence
from training.sources import WORK
from training.voices import RATE, Speakers, Spoken

ROOT = Path(__file__).resolve().parent.parent
CORPUS = ROOT.parent / "shared" / "corpus" / "english.txt"
SEED = 20261121
QUIET_DB, NOISE_DB = -72.0, -38.0

DICTATION = [
    ("Dear Maria, thank you for your letter of the third of March.", 1.0),
    ("I have read the report twice,", 0.6),
    ("and I think that the new plan is very good.", 1.3),
    ("There are only three small questions.", 1.0),
    ("First, who will write the summary of the meeting?", 0.9),
    ("Second, can we send the offer to the customer before Friday?", 1.1),
    ("And third, when do you want to talk about the budget?", 1.8),
    ("New paragraph.", 1.2),
    ("Next week I am in London, but you can call me every morning at nine.", 1.0),
    ("I hope to see you soon.", 1.0),
    ("Best wishes, Daniel.", 0.8),
]
MEETING = [
    ("Anna", "Good morning, and thank you all for coming."),
    ("Anna", "We have a short agenda today, so let us start with the budget."),
    ("Peter", "Good morning. The budget is nearly ready, but one figure is not clear to me."),
    ("Anna", "Which figure do you mean?"),
    (
        "Peter",
        "The price of the new machine. It was four thousand, and now it is five thousand two hundred.",
    ),
    (
        "Laura",
        "I can explain that. The supplier has changed the engine, and the delivery costs more.",
    ),
    ("Peter", "I see. Then we have to write to the customer."),
    ("Laura", "Yes, I will send a letter on Tuesday."),
    ("Anna", "Good. Can we move on to the schedule?"),
    ("Simon", "I have a question about that. Is the room free on the ninth of June?"),
    ("Anna", "It is free in the morning, but not in the afternoon."),
    ("Simon", "Then I would like to begin at half past eight, if nobody is against it."),
    ("Peter", "That is early for the people who come by train from Glasgow."),
    ("Simon", "You are right. What about ten?"),
    ("Laura", "Ten is fine for me."),
    ("Peter", "And for me."),
    ("Anna", "Okay, then we will meet at ten on the ninth of June."),
]
CAST = {"Anna": "en-gb-x-rp+f2", "Peter": "en-us+m3", "Laura": "en-us+Alicia", "Simon": "en-gb-x-gbcwmd"}
"""The voice of each speaker. Simon's accent is not in the training data."""

NOTE = [
    ("Note to myself, Thursday evening.", 0.9),
    ("I spoke with Helen this afternoon about the trip in October.", 1.0),
    ("She would like to leave on the sixteenth and come back on the twentieth.", 1.2),
    ("We need two rooms near the station,", 0.5),
    ("and one of them has to be quiet, because her son sleeps badly.", 1.3),
    ("The hotel by the river costs ninety five euros a night, which is more than I wanted to pay.", 1.4),
    ("Ask Martin whether we can stay at his house instead.", 1.6),
    ("Buy bread, milk, and a birthday card for my sister.", 1.2),
    ("And call the dentist before nine, if there is time.", 1.0),
]
PLANNING = [
    ("Grace", "Hello everyone, can you all hear me?"),
    ("Henry", "Yes, loud and clear."),
    ("Owen", "Me too, but there is a drill outside my window, so I will stay on mute."),
    ("Grace", "No problem. I want to talk about the move to the new office, and then about the holidays."),
    ("Henry", "The new office will be ready on the first of September. The desks arrive a week earlier."),
    ("Grace", "How many desks did we order in the end?"),
    ("Henry", "Twenty four, and six of them can be raised, so you can stand while you work."),
    ("Owen", "Sorry, I have a question. Who is going to set up the network?"),
    ("Henry", "A company from Bristol. They need two days, and they wrote that they can start on a Monday."),
    ("Grace", "Well, that sounds fine. What did they ask for?"),
    ("Henry", "About three thousand pounds, without the cables."),
    ("Owen", "That is a lot. Did we hear from anyone else?"),
    ("Grace", "Not yet. Owen, could you ask two other companies by the end of the week?"),
    ("Owen", "Sure, I will do that tomorrow morning."),
    ("Grace", "Thank you. Now the holidays. I am away for the whole of August, and Henry takes over."),
    ("Henry", "Right, and please write down where the keys are before you leave."),
    ("Grace", "I will. That is all from me. Have a nice weekend."),
]
NATURAL_CAST = {"Grace": "bf_emma", "Henry": "am_michael", "Owen": "bm_lewis"}
"""The natural voice of each speaker. Owen's voice is not in the training data."""


@dataclass
class Track:
    """A recording that is being made."""

    pieces: list[np.ndarray] = field(default_factory=list)
    words: list[dict] = field(default_factory=list)
    paragraphs: list[str] = field(default_factory=list)
    samples: int = 0

    @property
    def seconds(self) -> float:
        return self.samples / RATE

    def silence(self, seconds: float) -> None:
        """Add digital silence; `finish` adds quiet noise to the whole recording."""
        self._append(np.zeros(int(seconds * RATE), np.float32))

    def say(self, spoken: Spoken, level: float = 0.5, speaker: str = "") -> None:
        """Add an utterance with a peak of `level`."""
        sound = spoken.samples.astype(np.float32)
        sound *= level / max(1.0, float(np.abs(sound).max()))
        for word, start, end in zip(spoken.words, spoken.starts, spoken.ends, strict=True):
            times = [round((self.samples + int(edge)) / RATE, 3) for edge in (start, end)]
            entry = {"word": word, "start": times[0], "end": times[1]}
            self.words.append(entry | {"speaker": speaker} if speaker else entry)
        self.paragraphs.append(" ".join(spoken.words))
        self._append(sound)

    def _append(self, sound: np.ndarray) -> None:
        self.pieces.append(sound)
        self.samples += len(sound)

    def finish(self, floor_db: float, seed: int) -> np.ndarray:
        """The whole sound with brownish noise of `floor_db` dBFS (RMS), as int16."""
        sound = np.concatenate(self.pieces)
        noise = lfilter([1.0], [1.0, -0.95], np.random.default_rng(seed).standard_normal(len(sound)))
        noise *= 10 ** (floor_db / 20) / float(np.sqrt(np.mean(noise**2)))
        return np.clip(np.round((sound + noise) * 32767), -32768, 32767).astype(np.int16)


class Studio:
    """Held-out sentences and voices for the recordings."""

    def __init__(self, corpus: Path, work: Path) -> None:
        self._speakers = Speakers()
        self._natural = NaturalVoices(work)
        self.rng = random.Random(SEED)
        books = [text for text in held_out_sentences(corpus, 450) if 4 <= len(text.split()) <= 14 and " '" not in text]
        self.rng.shuffle(books)
        self._books = iter(dict.fromkeys(books))

    def sentences(self, talk: float) -> Iterator[str]:
        """Held-out sentences; the share `talk` of them is from the meeting templates, with its own seed."""
        while True:
            yield meeting_sentence(self.rng) if self.rng.random() < talk else next(self._books)

    def espeak(self, text: str, voice: str, rate: int = 160, pitch: int = 50) -> Spoken:
        return self._checked(self._speakers.espeak(text, voice, rate, pitch, 50))

    def flite(self, text: str, voice: str, stretch: float = 1.0) -> Spoken:
        return self._checked(self._speakers.flite(text, voice, stretch))

    def natural(self, text: str, voice: str, speed: float = 1.0) -> Spoken:
        return self._checked(self._natural.spoken(text, voice, speed))

    @staticmethod
    def _checked(spoken: Spoken | None) -> Spoken:
        if spoken is None:
            raise RuntimeError("a sentence of the recordings could not be spoken")
        return spoken


def dictation(studio: Studio) -> Track:
    """One clear voice with a pause after each phrase."""
    track = Track()
    track.silence(0.8)
    for text, pause in DICTATION:
        track.say(studio.espeak(text, "en-us", 150))
        track.silence(pause)
    return track


def turns(studio: Studio) -> Track:
    """A woman's and a man's voice, alternating."""
    track, lines = Track(), studio.sentences(0.6)
    track.silence(0.5)
    while track.seconds < 44:
        for name, voice, rate in (("A", "en-gb-x-rp+f3", 160), ("B", "en-us+m6", 165)):
            for _ in range(studio.rng.randint(1, 2)):
                track.say(studio.espeak(next(lines), voice, rate), speaker=name)
                track.silence(studio.rng.uniform(0.25, 0.7))
    return track


def continuous(studio: Studio) -> Track:
    """More than a minute without a pause of 0.3 seconds."""
    track = Track()
    while track.seconds < 75:
        text = next(studio.sentences(0.3))
        if any(mark in text[:-1] for mark in ",;:.!?-"):
            continue
        spoken = studio.espeak(text, "en-us+m2", 170)
        if _longest_quiet(spoken.samples) < 0.2:
            track.say(spoken)
            track.silence(0.04)
    track.silence(1.0)
    return track


def _longest_quiet(samples: np.ndarray) -> float:
    """The longest stretch, in seconds, that is at least 30 dB below the peak."""
    hop = RATE // 100
    level = np.abs(samples[: len(samples) // hop * hop].astype(np.int32)).reshape(-1, hop).max(axis=1)
    longest = run = 0
    for quiet in level < level.max() / 32:
        run = run + 1 if quiet else 0
        longest = max(longest, run)
    return longest / 100


def noise(studio: Studio) -> Track:
    """A flite voice in noise about 15 dB below it."""
    track, lines = Track(), studio.sentences(0.5)
    track.silence(1.5)
    while track.seconds < 30:
        track.say(studio.flite(next(lines), "us_slt"))
        track.silence(studio.rng.uniform(0.3, 0.9))
    track.silence(1.0)
    return track


def silences(studio: Studio) -> Track:
    """An unseen voice with at least ten seconds of silence between sentences."""
    track, lines = Track(), studio.sentences(0.7)
    track.silence(4.0)
    for pause in (10.0, 12.0, 10.0, 11.0, 3.0):
        track.say(studio.flite(next(lines), "us_rms"))
        track.silence(pause)
    return track


def meeting(studio: Studio) -> Track:
    """Four voices: an agenda, then held-out sentences up to a length of two and a half minutes."""
    track, lines = Track(), studio.sentences(0.75)
    track.silence(1.0)
    script = list(MEETING)
    rates = {name: rate for name, rate in zip(CAST, (155, 165, 160, 150), strict=True)}
    while script or track.seconds < 148:
        name, text = script.pop(0) if script else (studio.rng.choice(list(CAST)), next(lines))
        track.say(studio.espeak(text, CAST[name], rates[name]), studio.rng.uniform(0.3, 0.6), name)
        track.silence(studio.rng.choice([0.25, 0.4, 0.6, 0.9, 1.5]))
    return track


def note(studio: Studio) -> Track:
    """A note in a natural voice."""
    return _dictated(studio, NOTE, 0.7)


def letter(studio: Studio) -> Track:
    """The text of the dictation in a natural voice."""
    return _dictated(studio, DICTATION, 0.8)


def _dictated(studio: Studio, script: list[tuple[str, float]], begin: float) -> Track:
    """One natural voice with a pause after each phrase, from `begin` seconds on."""
    track = Track()
    track.silence(begin)
    for text, pause in script:
        track.say(studio.natural(text, HIBARI, 0.95))
        track.silence(pause)
    return track


def planning(studio: Studio) -> Track:
    """Three natural voices at different levels."""
    track = Track()
    track.silence(0.6)
    levels = dict(zip(NATURAL_CAST, (0.5, 0.35, 0.45), strict=True))
    for i, (name, text) in enumerate(PLANNING):
        track.say(studio.natural(text, NATURAL_CAST[name]), levels[name], name)
        track.silence((0.3, 0.5, 0.8, 0.4, 1.2)[i % 5])
    return track


RECORDINGS = {
    "dictation": (dictation, QUIET_DB),
    "turns": (turns, QUIET_DB),
    "continuous": (continuous, QUIET_DB),
    "noise": (noise, NOISE_DB),
    "silences": (silences, QUIET_DB),
    "meeting": (meeting, QUIET_DB),
}
"""These share the studio's random numbers, so each needs the ones before it."""
NATURAL = {"note": (note, QUIET_DB), "planning": (planning, QUIET_DB), "letter": (letter, QUIET_DB)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--corpus", type=Path, default=CORPUS)
    parser.add_argument("--work", type=Path, default=WORK, help="where the packages of natural voices are unpacked")
    parser.add_argument("--out", type=Path, default=ROOT / "recordings")
    parser.add_argument("--natural", action="store_true", help="make those in natural voices instead")
    options = parser.parse_args()
    studio = Studio(options.corpus, options.work)
    for seed, (name, (make, floor_db)) in enumerate((NATURAL if options.natural else RECORDINGS).items()):
        track = make(studio)
        soundfile.write(options.out / f"{name}.flac", track.finish(floor_db, seed), RATE, subtype="PCM_16")
        (options.out / f"{name}.txt").write_text("\n".join(track.paragraphs) + "\n")
        rows = ",\n".join(json.dumps(word) for word in track.words)
        (options.out / f"{name}.words.json").write_text(f"[\n{rows}\n]\n")
        print(f"{name}: {track.seconds:.1f} s, {len(track.words)} words, gap {_longest_gap(track.words):.2f} s")


def _longest_gap(words: list[dict]) -> float:
    return max(after["start"] - before["end"] for before, after in zip(words, words[1:], strict=False))


if __name__ == "__main__":
    main()
