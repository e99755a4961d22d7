"""LiveSpeakers: who speaks, while people speak, on a thread of its own.

An utterance gets a first impression once two seconds of it are heard, and is looked at again at its end, where it is
divided if the speaker changes in it. Every four minutes and at the end, the sound since the last time is heard as a
whole, and its utterances get their settled speakers. A thread of its own, so that text never waits for a label.
"""

import queue
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np
from numpy.typing import NDArray

from livecap.audio_in.source import AudioBlock, OnNotice
from livecap.errors import one_line
from livecap.session.labelling import voices_of
from livecap.speakers.known import ALIKE, Known, alone, known_as, voice_of
from livecap.speakers.turns import Diariser, Turn
from livecap.stream.recent_sound import RecentSound
from livecap.transcript import SAMPLE_RATE, Jumped, SessionEvent, SpeakerNamed, SpeakersHeard, TranscriptUpdate, Voice

EARLY_SAMPLES = 2 * SAMPLE_RATE
"""An open utterance of this length gets its first impression."""
NEW_SAMPLES = 3 * SAMPLE_RATE // 2
"""So much of a voice is needed to take it for that of a new speaker."""
KNOWN_SAMPLES = SAMPLE_RATE * 2 // 5
"""So much of it is needed to compare it with those of known speakers."""
WHOLE_SAMPLES = 240 * SAMPLE_RATE
"""Sound of this length is heard as a whole."""
MOST_KEPT_SAMPLES = 4 * WHOLE_SAMPLES
"""More sound is not kept: the computer is too slow, and the utterances in it keep their first impressions."""
OPEN_SAMPLES = 60 * SAMPLE_RATE
"""Longer than an utterance can be: so much is kept where none was closed."""
MOST_WAITING = 20
"""With more utterances waiting, only settled labels are found: the computer is too slow for first impressions."""


@dataclass(eq=False)
class _Stretch:
    """Sound of one track without a jump, from the last settled utterance on."""

    track: str
    sound: RecentSound = field(default_factory=RecentSound)
    start_sample: int = -1
    """Where the sound begins that is kept; below 0 before there is any."""
    settled_until: int = 0
    """The thread was asked to settle what lies before this."""
    closed: list[TranscriptUpdate] = field(default_factory=list)
    """The last updates of the utterances that are not settled."""


@dataclass(frozen=True)
class _Work:
    """What the thread has to do."""

    stretch: _Stretch
    update: TranscriptUpdate | None
    """An utterance to label at once; None to settle what the stretch holds."""


class Voices:
    """The voices of one track so far."""

    def __init__(
        self,
        next_number: Callable[[], int],
        on_new: Callable[[int, NDArray[np.float32]], None] = lambda number, voice: None,
    ) -> None:
        """
        Args:
            next_number: the number of a new speaker.
            on_new: gets the number and the voice of each new speaker.
        """
        self._next_number, self._on_new = next_number, on_new
        self._sums: dict[int, NDArray[np.float32]] = {}
        """Number of each speaker to the sum of the vectors of their voice, weighted by seconds."""

    def place(
        self, diariser: Diariser, sound: NDArray[np.float32], turns: Sequence[Turn], *, whole: bool
    ) -> dict[int, int]:
        """The number in the session of each speaker of these turns; those whose voice is not clear are left out.

        Args:
            whole: the sound is long, so that different speakers in it are different people. In one utterance a voice
                may be taken for two.
        """
        found: dict[int, tuple[NDArray[np.float32], int]] = {}
        for speaker in {turn.speaker for turn in turns}:
            own = alone(turns, speaker)
            vector = voice_of(diariser, sound, own, least=KNOWN_SAMPLES)
            if vector is not None:
                found[speaker] = vector, sum(turn.end - turn.start for turn in own)
        numbers: dict[int, int] = {}
        alike = sorted(
            (
                (float(vector @ known), speaker, number)
                for speaker, (vector, _) in found.items()
                for number, known in self._known()
            ),
            reverse=True,
        )
        for likeness, speaker, number in alike:
            if likeness >= ALIKE and speaker not in numbers and not (whole and number in numbers.values()):
                numbers[speaker] = number
        for speaker, (vector, n_samples) in sorted(found.items(), key=lambda item: -item[1][1]):
            if speaker not in numbers and (n_samples >= NEW_SAMPLES or not self._sums):
                numbers[speaker] = self._next_number()
                self._on_new(numbers[speaker], vector)
            elif speaker not in numbers:
                numbers[speaker] = max((float(vector @ known), number) for number, known in self._known())[1]
                continue  # too short to learn from
            self._sums[numbers[speaker]] = self._sums.get(numbers[speaker], 0) + vector * (n_samples / SAMPLE_RATE)
        return numbers

    def _known(self) -> list[tuple[int, NDArray[np.float32]]]:
        return [(number, total / max(float(np.linalg.norm(total)), 1e-9)) for number, total in self._sums.items()]


class LiveSpeakers:
    """A listener of the session that publishes `SpeakersHeard`. `hear` and the listener belong to the decode thread."""

    def __init__(self, load: Callable[[], Diariser], known: Known | None = None) -> None:
        """
        Args:
            load: loads what tells voices apart, on the thread of this.
            known: remembered voices; speakers who have one get its name.
        """
        self._load, self._known = load, known or {}
        self._work: queue.SimpleQueue[_Work | None] = queue.SimpleQueue()
        self._stretches: dict[str, _Stretch] = {}
        self._voices: dict[str, Voices] = {}
        self._unused: dict[str, dict[str, NDArray[np.float32]]] = {}
        """The remembered voices of which no speaker of a track has the name."""
        self._n_speakers = 0
        self._early: set[tuple[str, int]] = set()
        """The open utterances that were looked at."""
        self._has_failed = False
        self._is_live = True
        self._sound_lock = threading.Condition()
        """Guards the sound of the stretches, and is notified when some of it is forgotten."""
        self._thread = threading.Thread(target=self._run, name="speakers", daemon=True)

    def start(self, publish: Callable[[SessionEvent], None], notice: OnNotice, live: bool = True) -> None:
        """
        Args:
            publish: gets the facts, on the thread of this.
            notice: told once if speakers cannot be labelled.
            live: text must not wait for labels. False makes sound wait for labels, and every utterance is labelled.
        """
        self._publish, self._notice, self._is_live = publish, notice, live
        self._thread.start()

    def hear(self, track: str, block: AudioBlock) -> None:
        """Sound that a track has taken, before the updates that follow from it."""
        if self._has_failed:
            return
        stretch = self._stretches.setdefault(track, _Stretch(track))
        if stretch.start_sample < 0:
            stretch.start_sample = stretch.settled_until = block.start_sample
        elif block.end_sample - stretch.settled_until >= WHOLE_SAMPLES:
            stretch.settled_until = block.end_sample
            self._work.put(_Work(stretch, None))
        with self._sound_lock:
            stretch.sound.append(block.start_sample, block.samples)
            if not self._is_live:
                self._sound_lock.wait_for(lambda: self._has_failed or not self._is_full(stretch, block.end_sample))
            elif self._is_full(stretch, block.end_sample):
                stretch.start_sample = block.end_sample - MOST_KEPT_SAMPLES
                stretch.sound.forget(stretch.start_sample)

    def _is_full(self, stretch: _Stretch, end_sample: int) -> bool:
        return end_sample - stretch.start_sample > MOST_KEPT_SAMPLES

    def __call__(self, item: SessionEvent | TranscriptUpdate) -> None:
        if isinstance(item, Jumped) and item.track in self._stretches:
            self._work.put(_Work(self._stretches.pop(item.track), None))
        if not isinstance(item, TranscriptUpdate) or not item.text.strip():
            return
        key, stretch = (item.track, item.utterance), self._stretches.get(item.track)
        is_early = not item.final and key not in self._early and item.end_sample - item.start_sample >= EARLY_SAMPLES
        if stretch is None or not (item.final or is_early):
            return
        if is_early:
            self._early.add(key)
        self._work.put(_Work(stretch, item))

    def close(self) -> None:
        """Settle what is left, and end the thread. A second call does nothing."""
        if self._thread.ident is not None and self._thread.is_alive():
            for stretch in self._stretches.values():
                self._work.put(_Work(stretch, None))
            self._stretches = {}
            self._work.put(None)
            self._thread.join()

    # ---- the thread

    def _run(self) -> None:
        try:
            diariser = self._load()
            while (work := self._work.get()) is not None:
                if work.update is None:
                    self._settle(diariser, work.stretch)
                else:
                    self._label(diariser, work.stretch, work.update)
        except BaseException as error:  # a panic of a library is no Exception
            self._has_failed = True
            self._stretches.clear()
            with self._sound_lock:
                self._sound_lock.notify_all()
            self._notice(f"Speakers are not labelled any more: {one_line(error)}.", "warning")

    def _label(self, diariser: Diariser, stretch: _Stretch, update: TranscriptUpdate) -> None:
        """Publish the first impression of an open utterance, or its parts at its end."""
        is_wanted = not self._is_live or self._work.qsize() < MOST_WAITING
        voices = self._heard(diariser, stretch, update) if is_wanted else ()
        if update.final:
            if voices or (update.track, update.utterance) not in self._early:
                self._tell(update, voices, settled=False)
            self._early.discard((update.track, update.utterance))
            stretch.closed.append(update)
            return
        lengths: Counter[int] = Counter()
        for voice in voices:
            lengths[voice.speaker] += voice.end_sample - voice.start_sample
        for speaker, _ in lengths.most_common(1):
            self._tell(update, (Voice(update.start_sample, update.end_sample, speaker),), settled=False)

    def _heard(self, diariser: Diariser, stretch: _Stretch, update: TranscriptUpdate) -> tuple[Voice, ...]:
        start, sound = self._between(stretch, update.start_sample, update.end_sample)
        turns = diariser.turns(sound) if len(sound) else []
        numbers = self._place(diariser, stretch.track, sound, turns, whole=False)
        return tuple(
            Voice(start + turn.start, start + turn.end, numbers[turn.speaker])
            for turn in turns
            if turn.speaker in numbers
        )

    def _settle(self, diariser: Diariser, stretch: _Stretch) -> None:
        """Hear the stretch up to its last closed utterance as a whole, and forget it."""
        closed = [update for update in stretch.closed if update.end_sample > stretch.start_sample]
        stretch.closed = []
        end = max((update.end_sample for update in closed), default=stretch.sound.end_sample - OPEN_SAMPLES)
        if closed:
            self._settle_closed(diariser, stretch, closed, end)
        with self._sound_lock:
            stretch.start_sample = max(stretch.start_sample, end)
            stretch.sound.forget(stretch.start_sample)
            self._sound_lock.notify_all()

    def _settle_closed(
        self, diariser: Diariser, stretch: _Stretch, closed: Sequence[TranscriptUpdate], end: int
    ) -> None:
        start, sound = self._between(stretch, stretch.start_sample, end)
        turns = diariser.turns(sound)
        numbers = self._place(diariser, stretch.track, sound, turns, whole=True)
        placed = [
            Turn(start + turn.start, start + turn.end, numbers[turn.speaker])
            for turn in turns
            if turn.speaker in numbers
        ]
        spans = [(update.start_sample, update.end_sample) for update in closed]
        for update, voices in zip(closed, voices_of(spans, placed), strict=True):
            self._tell(update, voices, settled=True)

    def _place(
        self, diariser: Diariser, track: str, sound: NDArray[np.float32], turns: Sequence[Turn], *, whole: bool
    ) -> dict[int, int]:
        voices = self._voices.setdefault(track, Voices(self._new_number, partial(self._name, track)))
        return voices.place(diariser, sound, turns, whole=whole)

    def _new_number(self) -> int:
        self._n_speakers += 1
        return self._n_speakers - 1

    def _name(self, track: str, number: int, voice: NDArray[np.float32]) -> None:
        """Tell the name of a new speaker whose voice is remembered. A name goes to one speaker of a track."""
        unused = self._unused.setdefault(track, dict(self._known))
        if name := known_as(voice, unused):
            del unused[name]
            self._publish(SpeakerNamed(number, name, remembered=True))

    def _between(self, stretch: _Stretch, start: int, end: int) -> tuple[int, NDArray[np.float32]]:
        """(first sample, sound) of what is kept of [start, end)."""
        with self._sound_lock:
            start = max(start, stretch.start_sample)
            end = max(start, min(end, stretch.sound.end_sample))
            return start, stretch.sound.between(start, end)

    def _tell(self, update: TranscriptUpdate, voices: tuple[Voice, ...], *, settled: bool) -> None:
        self._publish(SpeakersHeard(update.track, update.utterance, voices, settled))
