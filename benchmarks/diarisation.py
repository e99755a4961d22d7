"""Speaker labels on made meetings: diarisation error, count of speakers, words of the wrong speaker, processor time.

    python -m training.natural --speakers VOICES
    python -m benchmarks.diarisation VOICES --out docs/benchmarks/diarisation.json

VOICES has a folder for each voice, with utterances as 16 kHz FLAC and their words beside them. Meetings are made of
them, so it is known who speaks when: a voice is heard in its words, 0.1 s around them included, where its own sound is
at most 35 dB below its loudest; pauses of less than 0.5 s belong to its turn. The error is the share of speech that is
missed, invented or of the wrong speaker; overlapping speech counts for each speaker. With the collar, 0.25 s on both
sides of each start and end of a turn do not count.

`live` is what a live session shows of the same sound (LiveSpeakers itself): the labels that utterances get at their
end, by the voices so far, the changes of labels, and all processor time until they are settled. `later` figures leave
out the first minute. Words are the true ones, so cpWER counts only labels. Each NAME.wav with a NAME.rttm in the folder
given with --real is measured, too.
"""

import argparse
import json
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from numpy.typing import NDArray

from benchmarks import noises
from livecap.archive.speakers import speakers_of
from livecap.audio_in.source import AudioBlock
from livecap.audio_in.vad import SpeechDetector, SpeechEnded, SpeechStarted
from livecap.eval.alignment import edit_distance
from livecap.eval.output import as_json, store_figures
from livecap.eval.provenance import machine
from livecap.session.live_speakers import LiveSpeakers
from livecap.speakers.diariser import VoiceDiariser, load_diariser
from livecap.speakers.turns import Diariser, Turn
from livecap.transcript import SAMPLE_RATE, SessionEvent, SpeakersHeard, TranscriptUpdate, Voice, Word

Sound = NDArray[np.float32]
Random = np.random.Generator

FRAMES = 100
"""Frames per second in which errors are counted."""
VOICE_LEVEL = 0.05
FEWEST_UTTERANCES = 8
"""A voice with fewer is not used."""
FIRST_MINUTE = 60 * SAMPLE_RATE


@dataclass(frozen=True)
class Utterance:
    """Speech of one voice, its spans of speech and its words (text, start, end), in samples."""

    sound: Sound
    spans: list[tuple[int, int]]
    words: list[tuple[str, int, int]]


@dataclass(frozen=True)
class Kind:
    """What a meeting is like."""

    speakers: tuple[int, ...]
    overlap: float = 0.0
    """How often turns begin before the last one has ended, and listeners say something."""
    rooms: bool = False
    noise: bool = False
    short: bool = False
    """Turns of one utterance, half of them of a word or two."""
    alike: bool = False
    """The voices that are most alike."""


KINDS = {
    "one voice": Kind((1,), rooms=True, noise=True),
    "quiet": Kind((2, 3, 4)),
    "short turns": Kind((3,), short=True),
    "two alike": Kind((2,), alike=True),
    "overlap": Kind((2, 3, 4), overlap=0.5),
    "rooms": Kind((2, 3, 4), overlap=0.25, rooms=True),
    "noise": Kind((2, 3, 4), overlap=0.5, rooms=True, noise=True),
    "many": Kind((6, 8), overlap=0.25),
}
NOISES = ("fan", "hum", "typing", "rumble", "hiss")


@dataclass
class Meeting:
    """A sound and the truth about it."""

    sound: Sound
    turns: list[Turn]
    words: list[tuple[Word, int]]
    """Each word with its speaker."""


def read_voices(folder: Path) -> dict[str, list[Utterance]]:
    """The utterances of each voice, by name."""
    found = defaultdict(list)
    for path in sorted(folder.glob("*/*.flac")):
        sound = soundfile.read(path, dtype="float32")[0]
        listed = json.loads(path.with_suffix(".words.json").read_text(encoding="utf-8"))
        words = [(w["word"], round(w["start"] * SAMPLE_RATE), round(w["end"] * SAMPLE_RATE)) for w in listed]
        if spans := voiced_spans(sound, words):
            found[path.parent.name].append(Utterance(sound, spans, words))
    return {name: some for name, some in found.items() if len(some) >= FEWEST_UTTERANCES}


def voiced_spans(sound: Sound, words: Sequence[tuple[str, int, int]]) -> list[tuple[int, int]]:
    """Where a voice says these words, in samples; pauses of less than 0.5 s belong to it."""
    step = SAMPLE_RATE // FRAMES
    power = np.square(sound[: len(sound) // step * step].reshape(-1, step)).mean(axis=1)
    said = np.zeros(len(power), bool)
    for _, start, end in words:
        said[max(0, start // step - FRAMES // 10) : end // step + FRAMES // 10] = True
    loud = np.flatnonzero(said & (power > power.max(initial=0) * 10**-3.5))
    spans: list[list[int]] = []
    for frame in loud.tolist():
        if spans and frame - spans[-1][1] < FRAMES // 2:
            spans[-1][1] = frame + 1
        else:
            spans.append([frame, frame + 1])
    return [(start * step, end * step) for start, end in spans]


def first_words(utterance: Utterance) -> Utterance:
    """Its first words, of about a second."""
    words = [word for i, word in enumerate(utterance.words) if i == 0 or word[2] <= 1.1 * SAMPLE_RATE]
    sound = utterance.sound[: words[-1][2]]
    return Utterance(sound, voiced_spans(sound, words), words)


class Stage:
    """A meeting that is being made."""

    def __init__(self, kind: Kind, seconds: float, random: Random) -> None:
        self._kind, self._random = kind, random
        self._end = int(seconds * SAMPLE_RATE)
        self._sound = np.zeros(self._end + 60 * SAMPLE_RATE, np.float32)
        self._spoken: list[tuple[int, int, int]] = []
        self._words: list[tuple[Word, int]] = []

    def fill(self, voices: Sequence[list[Utterance]]) -> Meeting:
        """Let these voices talk, the first ones in order, then at random."""
        random, kind = self._random, self._kind
        self._levels = 10 ** (random.uniform(-5, 5, len(voices)) / 20)
        self._rooms = [impulse(random) if kind.rooms else None for _ in voices]
        self._left: list[list[Utterance]] = [[] for _ in voices]
        shares = random.dirichlet(np.full(len(voices), 3.0))
        at, speaker, waiting = SAMPLE_RATE // 2, -1, list(range(len(voices)))
        while at < self._end:
            others = np.where(np.arange(len(voices)) == speaker, 0, shares)
            speaker = (
                waiting.pop(0)
                if waiting
                else int(random.choice(len(voices), p=others / others.sum()))
                if (len(voices) > 1)
                else 0
            )
            for _ in range(1 if kind.short else 1 + random.poisson(1.0)):
                start = at
                at = self._say(voices, speaker, at, brief=kind.short and random.random() < 0.5)
                if len(voices) > 1 and random.random() < 0.3 * kind.overlap and at - start > 2 * SAMPLE_RATE:
                    listener = int(random.choice([i for i in range(len(voices)) if i != speaker]))
                    self._say(voices, listener, int(random.uniform(start + 8000, at - 16000)), brief=True)
                pause = random.uniform(0.15, 0.6)
                at += int(pause * SAMPLE_RATE)
            if random.random() < kind.overlap:
                at -= int((pause + random.uniform(0.2, 1.2)) * SAMPLE_RATE)
                at = max(at, start + SAMPLE_RATE // 2)
            else:
                at += int(random.exponential(0.4) * SAMPLE_RATE)
        return self._meeting(len(voices))

    def _say(self, voices: Sequence[list[Utterance]], speaker: int, at: int, brief: bool) -> int:
        """Add an utterance; the sample at which its speech ends."""
        left = self._left[speaker]
        if not left:
            left += [voices[speaker][i] for i in self._random.permutation(len(voices[speaker]))]
        said = first_words(left.pop()) if brief else left.pop()
        rms = noises.speech_rms(said.sound)
        sound = said.sound * np.float32(VOICE_LEVEL / rms * self._levels[speaker])
        if (room := self._rooms[speaker]) is not None:
            n = len(sound) + len(room)
            sound = np.fft.irfft(np.fft.rfft(sound, n) * np.fft.rfft(room, n), n).astype(np.float32)
        sound = sound[: len(self._sound) - at]
        self._sound[at : at + len(sound)] += sound
        self._spoken += [(at + start, at + end, speaker) for start, end in said.spans]
        self._words += [(Word(text, at + start, at + end, "aligned"), speaker) for text, start, end in said.words]
        return at + said.spans[-1][1]

    def _meeting(self, n_speakers: int) -> Meeting:
        turns: list[Turn] = []
        for speaker in range(n_speakers):
            own: list[Turn] = []
            for start, end, _ in sorted(span for span in self._spoken if span[2] == speaker):
                if own and start - own[-1].end < SAMPLE_RATE // 2:
                    own[-1] = Turn(own[-1].start, max(end, own[-1].end), speaker)
                else:
                    own.append(Turn(start, end, speaker))
            turns += own
        sound = self._sound[: max(turn.end for turn in turns) + SAMPLE_RATE // 2]
        sound = sound + noises.white(len(sound), self._random) * np.float32(1e-4)
        if self._kind.noise:
            noise = noises.KINDS[str(self._random.choice(NOISES))](len(sound), self._random)
            sound = noises.mixed(sound, noise, 10)
        return Meeting(np.clip(sound, -1, 1).astype(np.float32), turns, self._words)


def impulse(random: Random) -> Sound:
    """The answer of a room to a click: the click, then an echo that fades by 60 dB in 0.2 to 0.6 s."""
    seconds = random.uniform(0.2, 0.6)
    t = np.arange(int(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    echo = random.standard_normal(len(t)) * 10 ** (-3 * t / seconds)
    echo[: SAMPLE_RATE // 500] = 0
    echo *= random.uniform(0.1, 0.5) / np.sqrt(np.square(echo).sum())
    echo[0] = 1
    return echo.astype(np.float32)


def meetings(
    voices: dict[str, list[Utterance]],
    diariser: VoiceDiariser,
    kinds: Sequence[str],
    each: int,
    seconds: float,
    seed: int,
) -> Iterator[tuple[str, int, Meeting]]:
    """The name of the kind, the number of speakers, and the meeting."""
    names = sorted(voices)
    for name in kinds:
        kind = KINDS[name]
        for n_speakers in kind.speakers:
            for number in range(each):
                random = np.random.default_rng([seed, len(name), n_speakers, number])
                some = [names[i] for i in random.permutation(len(names))[: n_speakers if not kind.alike else 12]]
                if kind.alike:
                    some = most_alike({name: voices[name] for name in some}, diariser)
                yield name, n_speakers, Stage(kind, seconds, random).fill([voices[name] for name in some])


def most_alike(voices: dict[str, list[Utterance]], diariser: Diariser) -> list[str]:
    """The two names whose voices are most alike."""
    names = sorted(voices)
    vectors = np.stack([diariser.embed(np.concatenate([u.sound for u in voices[name][:3]])) for name in names])
    likeness = np.tril(vectors @ vectors.T, -1) - np.triu(np.ones((len(names), len(names))))
    return [names[i] for i in np.unravel_index(likeness.argmax(), likeness.shape)]


def marks(turns: Sequence[Turn], n_samples: int) -> NDArray[np.bool_]:
    """Who speaks in each frame [n_speakers, n_frames]."""
    numbers = sorted({turn.speaker for turn in turns})
    found = np.zeros((len(numbers), n_samples * FRAMES // SAMPLE_RATE + 1), bool)
    for turn in turns:
        found[numbers.index(turn.speaker), turn.start * FRAMES // SAMPLE_RATE : turn.end * FRAMES // SAMPLE_RATE] = True
    return found


def most_common(common: NDArray[np.int64]) -> int:
    """The largest sum of entries of which no two are in one row or column: the best naming of the found speakers."""
    best = {0: 0}  # the rows that are taken, as bits, to the sum
    for column in common.T:
        for taken, total in list(best.items()):
            for row in np.flatnonzero(column).tolist():
                if not taken >> row & 1:
                    key = taken | 1 << row
                    best[key] = max(best.get(key, 0), total + int(column[row]))
    return max(best.values())


def error(truth: Sequence[Turn], found: Sequence[Turn], n_samples: int, collar: float = 0.0, after: int = 0) -> Any:
    """The diarisation error and its parts (missed, invented, confused), as shares of the speech of all speakers."""
    true, said = marks(truth, n_samples), marks(found, n_samples)
    kept = np.ones(true.shape[1], bool)
    kept[: after * FRAMES // SAMPLE_RATE] = False
    reach = round(collar * FRAMES)
    for edge in np.flatnonzero(np.diff(true.astype(np.int8), axis=1, prepend=0).any(axis=0)).tolist():
        kept[max(0, edge - reach) : edge + reach] = False
    true, said = true[:, kept], said[:, kept]
    correct = most_common(true.astype(np.int64) @ said.astype(np.int64).T)
    n_true, n_said = true.sum(axis=0), said.sum(axis=0)
    missed = int(np.maximum(0, n_true - n_said).sum())
    invented = int(np.maximum(0, n_said - n_true).sum())
    confused = int(np.minimum(n_true, n_said).sum()) - correct
    return np.array([missed + invented + confused, missed, invented, confused]) / max(1, int(n_true.sum()))


def assigned(words: Sequence[tuple[Word, int]], found: Sequence[Turn]) -> list[int]:
    """The found speaker of each word; without turns, all words are of one."""
    spans = [(word.start_sample, word.end_sample) for word, _ in words]
    return speakers_of(spans, [turn.voice for turn in found]) or [0] * len(words)


def wrong_words(meeting: Meeting, found: Sequence[Turn]) -> float:
    """The share of words that get the wrong speaker."""
    words = sorted(meeting.words, key=lambda pair: pair[0].start_sample)
    chosen = assigned(words, found)
    common = np.zeros((max(s for _, s in words) + 1, max(chosen) + 1), np.int64)
    np.add.at(common, ([speaker for _, speaker in words], chosen), 1)
    return 1 - most_common(common) / len(words)


def cpwer(meeting: Meeting, found: Sequence[Turn]) -> float:
    """cpWER of the true words with these labels: the words of each speaker in a row, compared under the best naming of
    the found speakers. Two speakers' words that are exchanged are substitutions, as in meeteval."""
    words = sorted(meeting.words, key=lambda pair: pair[0].start_sample)
    true, heard = defaultdict(list), defaultdict(list)
    for (word, speaker), chosen in zip(words, assigned(words, found), strict=True):
        true[speaker].append(word.text)
        heard[chosen].append(word.text)
    saved = [[len(a) + len(b) - edit_distance(a, b) for b in heard.values()] for a in true.values()]
    return (2 * len(words) - most_common(np.array(saved))) / len(words)


@dataclass
class Shown:
    """What a live session shows of a sound."""

    first: list[Turn]
    """The labels that utterances got at their end."""
    settled: list[Turn]
    changes_per_hour: float
    """Utterances whose label changed after it was shown, by hour of sound."""
    cost_ms: float
    """Processor time for a second of sound, all threads, without the detector."""


def shown_live(diariser: VoiceDiariser, sound: Sound) -> Shown:
    """Let a live session label a sound. Its text comes from nowhere: an open utterance is updated every half second."""
    sound = np.concatenate([sound, np.zeros(3 * SAMPLE_RATE, np.float32)])  # the last utterance ends, too
    step = SAMPLE_RATE // 20
    heard = list(_updates(sound, step))
    facts: list[SessionEvent] = []
    speakers = LiveSpeakers(lambda: diariser)
    began = time.process_time()
    speakers.start(facts.append, lambda message, severity="": print(message, file=sys.stderr), live=False)
    for block, updates in heard:
        speakers.hear("", block)
        for update in updates:
            speakers(update)
    speakers.close()
    cost = time.process_time() - began
    voices: dict[int, list[SpeakersHeard]] = defaultdict(list)
    for fact in facts:
        if isinstance(fact, SpeakersHeard):
            voices[fact.utterance].append(fact)
    first = [[fact for fact in some if not fact.settled][-1] for some in voices.values()]
    changes = 0
    for some in voices.values():
        labels = [most for fact in some if (most := who_most(fact.voices)) is not None]
        changes += any(before != after for before, after in pairwise(labels))
    seconds = len(sound) / SAMPLE_RATE
    settled = [some[-1] for some in voices.values()]
    return Shown(_as_turns(first), _as_turns(settled), changes * 3600 / seconds, 1000 * cost / seconds)


def _updates(sound: Sound, step: int) -> Iterator[tuple[AudioBlock, list[TranscriptUpdate]]]:
    """Each block of a sound with the updates that follow from it."""
    detector, number, began, told = SpeechDetector(), 0, -1, 0
    for at in range(0, len(sound), step):
        block = AudioBlock(at, sound[at : at + step])
        updates = []
        for event in detector.accept(block):
            if isinstance(event, SpeechStarted):
                began = told = event.sample
            elif isinstance(event, SpeechEnded):
                updates.append(TranscriptUpdate("", number, "Well.", "", began, event.sample, "English", final=True))
                began, number = -1, number + 1
        if began >= 0 and block.end_sample - told >= SAMPLE_RATE // 2:
            told = block.end_sample
            updates.append(TranscriptUpdate("", number, "", "Well.", began, told, "English", final=False))
        yield block, updates


def who_most(voices: Sequence[Voice]) -> int | None:
    """Who speaks most; None without voices."""
    lengths: Counter[int] = Counter()
    for voice in voices:
        lengths[voice.speaker] += voice.end_sample - voice.start_sample
    return lengths.most_common(1)[0][0] if lengths else None


def _as_turns(facts: Sequence[SpeakersHeard]) -> list[Turn]:
    return [Turn(v.start_sample, v.end_sample, v.speaker) for fact in facts for v in fact.voices]


def read_rttm(path: Path) -> list[Turn]:
    """The turns of an RTTM file."""
    numbers: dict[str, int] = {}
    turns = []
    for line in path.read_text(encoding="utf-8").splitlines():
        _, _, _, start, length, _, _, speaker, *_ = line.split()
        begin = round(float(start) * SAMPLE_RATE)
        end = begin + round(float(length) * SAMPLE_RATE)
        turns.append(Turn(begin, end, numbers.setdefault(speaker, len(numbers))))
    return turns


def figures(diariser: Diariser, sound: Sound, truth: Sequence[Turn]) -> tuple[dict[str, float], list[Turn]]:
    """The settled figures of one sound, and what was found."""
    began = time.process_time()
    found = diariser.turns(sound)
    cost = time.process_time() - began
    n_true, n_found = (len({turn.speaker for turn in turns}) for turns in (truth, found))
    whole, missed, invented, confused = error(truth, found, len(sound))
    n_frames = marks(truth, len(sound)).sum(axis=0)
    return {
        "der_percent": 100 * whole,
        "missed_percent": 100 * missed,
        "invented_percent": 100 * invented,
        "confused_percent": 100 * confused,
        "der_collar_percent": 100 * error(truth, found, len(sound), 0.25)[0],
        "count_right_percent": 100.0 * (n_true == n_found),
        "overlap_percent": 100 * float((n_frames > 1).sum() / (n_frames > 0).sum()),
        "cost_ms_per_second": 1000 * cost / (len(sound) / SAMPLE_RATE),
    }, found


def live_figures(meeting: Meeting, found: Sequence[Turn], shown: Shown) -> dict[str, float]:
    """The figures of live labels, and beside them the error of what was `found` in the whole sound, both after the
    first minute."""

    def later(turns: Sequence[Turn]) -> float:
        return 100 * float(error(meeting.turns, turns, len(meeting.sound), after=FIRST_MINUTE)[0])

    return {
        "later_der_percent": later(found),
        "live_later_der_percent": later(shown.first),
        "live_settled_later_der_percent": later(shown.settled),
        "live_cpwer_percent": 100 * cpwer(meeting, shown.first),
        "live_changes_per_hour": shown.changes_per_hour,
        "live_cost_ms_per_second": shown.cost_ms,
    }


def means(rows: Mapping[str, Sequence[dict[str, float]]]) -> dict[str, dict[str, float]]:
    """The mean figures of each kind."""
    found = {
        name: {"sounds": len(some), **{key: round(float(np.mean([row[key] for row in some])), 2) for key in some[0]}}
        for name, some in rows.items()
    }
    for row in found.values():
        if "later_der_percent" in row:
            row["live_times_settled"] = round(row["live_later_der_percent"] / max(0.01, row["later_der_percent"]), 2)
    return found


def main() -> int:
    """Measure, print and store; the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.diarisation",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("voices", type=Path, help="a folder of voices")
    parser.add_argument("--each", type=int, default=2, help="meetings of each kind and number of speakers (2)")
    parser.add_argument("--seconds", type=float, default=180, help="length of a meeting (180)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--kind", action="append", choices=KINDS, help="only this kind; may be repeated")
    parser.add_argument("--no-live", action="store_true", help="only settled labels")
    parser.add_argument("--real", type=Path, help="a folder of recordings with RTTM files")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    diariser = load_diariser()
    rows: dict[str, list[dict[str, float]]] = defaultdict(list)

    def store() -> None:
        """After each sound, so that a run that is stopped leaves figures."""
        if options.out:
            store_figures(options.out, {"machine": machine(), "seconds_each": options.seconds, "kinds": means(rows)})

    voices, kinds = read_voices(options.voices), options.kind or list(KINDS)
    for name, n_speakers, meeting in meetings(voices, diariser, kinds, options.each, options.seconds, options.seed):
        row, found = figures(diariser, meeting.sound, meeting.turns)
        row["wrong_words_percent"] = 100 * wrong_words(meeting, found)
        row["cpwer_percent"] = 100 * cpwer(meeting, found)
        if not options.no_live:
            row |= live_figures(meeting, found, shown_live(diariser, meeting.sound))
        rows[name].append(row)
        store()
        print(
            f"{name:12} {n_speakers}",
            *(f"{key.removesuffix('_percent')} {v:.1f}" for key, v in row.items()),
            flush=True,
        )
    for path in sorted(options.real.glob("*.wav")) if options.real else ():
        sound = soundfile.read(path, dtype="float32", always_2d=True)[0].mean(axis=1)
        row, _ = figures(diariser, sound, read_rttm(path.with_suffix(".rttm")))
        rows["real"].append(row)
        store()
        print(f"{path.stem:14}", *(f"{key.removesuffix('_percent')} {v:.1f}" for key, v in row.items()), flush=True)
    print(as_json(means(rows)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
