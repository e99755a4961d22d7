"""LiveSpeakers: who speaks, while people speak, on a thread of its own.

An open utterance of two seconds gets a first impression if a known voice is alike. Each utterance is heard once, at its
end, with the sound before it, and divided where the speaker changes. Every four minutes and at the end, the voices of
the last minutes are compared as a whole, and utterances get their settled speakers; nothing is heard again. Labels of
an utterance change at most once: those that did so at its end are settled as they were then. A thread of its own, so
that text never waits for a label.
"""

import queue
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np
from numpy.typing import NDArray

from livecap.archive.speakers import speakers_of
from livecap.audio_in.source import AudioBlock, OnNotice
from livecap.errors import one_line
from livecap.session.labelling import voices_of
from livecap.speakers.diariser import VoiceDiariser
from livecap.speakers.hearing import CONTEXT_SAMPLES, EarlyVoice, Hearing
from livecap.speakers.known import Known, known_as
from livecap.speakers.numbers import SpeakerNumbers
from livecap.stream.recent_sound import RecentSound
from livecap.transcript import SAMPLE_RATE, Jumped, SessionEvent, SpeakerNamed, SpeakersHeard, TranscriptUpdate, Voice

EARLY_SAMPLES = 2 * SAMPLE_RATE
"""An open utterance of this length gets its first impression."""
WHOLE_SAMPLES = 240 * SAMPLE_RATE
"""The utterances of so much sound are settled together, with the voices of as much sound before them."""
MOST_KEPT_SAMPLES = 4 * WHOLE_SAMPLES
"""More sound does not wait: the computer is too slow, and the utterances in it get no label."""
OPEN_SAMPLES = 60 * SAMPLE_RATE
"""Longer than an utterance can be: so much is kept where none was closed."""
MOST_WAITING = 20
"""With more utterances waiting, open ones get no first impression: the computer is too slow."""


GRID_SAMPLES = SAMPLE_RATE // 10
"""Two labellings of an utterance are compared at places so far apart."""


@dataclass(eq=False)
class _Told:
    """What was published about the voices of an utterance."""

    voices: tuple[Voice, ...] = ()
    has_changed: bool = False
    """Some sound got another speaker than it had."""


@dataclass(eq=False)
class _Stretch:
    """Sound of one track without a jump, from a little before the last closed utterance on."""

    track: str
    sound: RecentSound = field(default_factory=RecentSound)
    start_sample: int = -1
    """Where the sound begins that is kept; below 0 before there is any."""
    settled_until: int = 0
    """The thread was asked to settle what lies before this."""
    closed: list[TranscriptUpdate] = field(default_factory=list)
    """The last updates of the utterances that are not settled."""
    told: dict[int, _Told] = field(default_factory=dict)
    """What was published about each utterance that is not settled; belongs to the thread."""
    hearing: Hearing | None = None
    """What was heard of it; belongs to the thread."""
    early: tuple[int, EarlyVoice] | None = None
    """The last open utterance that was heard, and its voice; belongs to the thread."""


@dataclass(frozen=True)
class _Work:
    """What the thread has to do."""

    stretch: _Stretch
    update: TranscriptUpdate | None
    """An utterance to label at once; None to settle what the stretch holds."""
    until: int | None = None
    """To settle: where the sound ended that was heard then; None if no sound follows in the stretch."""


class LiveSpeakers:
    """A listener of the session that publishes `SpeakersHeard`. `hear` and the listener belong to the decode thread."""

    def __init__(self, load: Callable[[], VoiceDiariser], known: Known | None = None) -> None:
        """
        Args:
            load: loads what tells voices apart, on the thread of this.
            known: remembered voices; speakers who have one get its name.
        """
        self._load, self._known = load, known or {}
        self._work: queue.SimpleQueue[_Work | None] = queue.SimpleQueue()
        self._stretches: dict[str, _Stretch] = {}
        self._numbers: dict[str, SpeakerNumbers] = {}
        self._unused: dict[str, dict[str, NDArray[np.float32]]] = {}
        """The remembered voices of which no speaker of a track has the name."""
        self._n_speakers = 0
        self._asked: dict[str, int] = {}
        """Track to the last open utterance that a first impression was asked for."""
        self._has_failed = False
        self._is_live = True
        self._sound_lock = threading.Condition()
        """Guards the sound of the stretches; notified when some of it is dropped."""
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
            self._work.put(_Work(stretch, None, block.end_sample))
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
        if not isinstance(item, TranscriptUpdate):
            return
        stretch, is_asked = self._stretches.get(item.track), self._asked.get(item.track) == item.utterance
        is_early = not item.final and not is_asked and item.end_sample - item.start_sample >= EARLY_SAMPLES
        if stretch is None or not item.text.strip() or not (item.final or is_early):
            return
        if is_early:
            self._asked[item.track] = item.utterance
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
                    self._settle(work.stretch, work.until)
                elif work.update.final:
                    self._label(diariser, work.stretch, work.update)
                else:
                    self._guess(diariser, work.stretch, work.update)
        except BaseException as error:  # a panic of a library is no Exception
            self._has_failed = True
            self._stretches.clear()
            with self._sound_lock:
                self._sound_lock.notify_all()
            self._notice(f"Speakers are not labelled any more: {one_line(error)}.", "warning")

    def _guess(self, diariser: VoiceDiariser, stretch: _Stretch, update: TranscriptUpdate) -> None:
        """Publish the first impression of an open utterance: the known speaker whose voice is alike, if any."""
        if self._is_live and self._work.qsize() >= MOST_WAITING:
            return
        start, sound = self._between(stretch, update.end_sample - EARLY_SAMPLES, update.end_sample)
        voice = diariser.embed(sound)
        stretch.early = update.utterance, EarlyVoice(start, start + len(sound), voice)
        speaker = self._numbers_of(stretch.track).known(voice)
        if speaker is not None:
            voices = (Voice(update.start_sample, update.end_sample, speaker),)
            self._tell(stretch, update, voices, settled=False)

    def _label(self, diariser: VoiceDiariser, stretch: _Stretch, update: TranscriptUpdate) -> None:
        """Hear an utterance at its end, and publish its parts."""
        start, sound = self._between(stretch, update.start_sample - CONTEXT_SAMPLES, update.end_sample)
        if not len(sound):
            return  # it was forgotten
        if stretch.hearing is None:
            stretch.hearing = Hearing(diariser, self._numbers_of(stretch.track))
        number, early = stretch.early or (-1, None)
        stretch.hearing.hear(start, sound, update.start_sample, early if number == update.utterance else None)
        turns = stretch.hearing.turns(update.start_sample, update.end_sample)
        voices = voices_of([(update.start_sample, update.end_sample)], turns)[0]
        self._tell(stretch, update, voices, settled=False)
        stretch.closed.append(update)
        self._forget(stretch, update.end_sample - CONTEXT_SAMPLES)

    def _settle(self, stretch: _Stretch, until: int | None) -> None:
        """Compare the voices that were heard as a whole, and publish who speaks in the closed utterances."""
        closed, stretch.closed = stretch.closed, []
        if closed and stretch.hearing is not None:
            turns = stretch.hearing.turns(closed[0].start_sample, closed[-1].end_sample)
            spans = [(update.start_sample, update.end_sample) for update in closed]
            for update, voices in zip(closed, voices_of(spans, turns), strict=True):
                self._tell(stretch, update, voices, settled=True)
            end, last = closed[-1].end_sample, closed[-1].utterance
            stretch.told = {number: told for number, told in stretch.told.items() if number > last}
            stretch.hearing.forget(end if until is None else end - WHOLE_SAMPLES)
        if until is not None:
            self._forget(stretch, until - OPEN_SAMPLES - CONTEXT_SAMPLES)

    def _forget(self, stretch: _Stretch, before_sample: int) -> None:
        """Release sound that is not needed any more."""
        with self._sound_lock:
            stretch.start_sample = max(stretch.start_sample, before_sample)
            stretch.sound.forget(stretch.start_sample)
            self._sound_lock.notify_all()

    def _numbers_of(self, track: str) -> SpeakerNumbers:
        return self._numbers.setdefault(track, SpeakerNumbers(self._new_number, partial(self._name, track)))

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

    def _tell(self, stretch: _Stretch, update: TranscriptUpdate, voices: tuple[Voice, ...], *, settled: bool) -> None:
        """Publish who speaks in an utterance. If its labels have changed already, publish the previous ones."""
        told = stretch.told.setdefault(update.utterance, _Told())
        if is_change(told.voices, voices):
            voices = told.voices if told.has_changed else voices
            told.has_changed = True
        told.voices = voices
        self._publish(SpeakersHeard(update.track, update.utterance, voices, settled))


def is_change(before: Sequence[Voice], after: Sequence[Voice]) -> bool:
    """True if some sound that had a speaker gets another one, or none."""
    end = max((voice.end_sample for voice in before), default=0)
    places = range(before[0].start_sample if before else 0, end, GRID_SAMPLES)
    spans = [(at, at + 1) for at in places]
    return speakers_of(spans, before) != speakers_of(spans, after)
