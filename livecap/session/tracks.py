"""Track: one source on its way to text. It hears, decodes, and accounts for every sample:

    captured = decoded + recognised as silence + gaps

holds after every step for all sound that was taken, and at the end for all sound there was.
"""

import time
from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from livecap.archive.clock import iso_time
from livecap.archive.steps import Step
from livecap.audio_in.source import AudioBlock, AudioSource
from livecap.session.measures import StepCost, StepCosts
from livecap.session.status import TrackStatus
from livecap.session.wall_clock import WallClock
from livecap.transcript import (
    SAMPLE_RATE,
    AudioGap,
    CaptureReport,
    ClockAnchored,
    Jumped,
    Notice,
    SessionEvent,
    TranscriptUpdate,
    UtteranceSettled,
)

if TYPE_CHECKING:
    from livecap.audio_in.echo.feeds import Feed
    from livecap.stream.transcriber import StreamingTranscriber  # the module loads MLX: later than devices are opened

SWITCH_SAMPLES = 5 * SAMPLE_RATE
"""The longest gap that opening an input causes; a longer one is a loss."""
GAPS_SAMPLES = 120 * SAMPLE_RATE
"""How long gaps are remembered: longer than an utterance or a block can be."""


@dataclass(frozen=True, slots=True)
class TrackSource:
    """A source, and the label of its track in the log and on the screen."""

    label: str
    """"me", "them"; "" for a single track."""
    source: AudioSource
    steps: tuple[Step, ...] = ()
    """Steps that were recorded with this sound; they are repeated instead of new ones."""
    feed: "Feed | None" = None
    """What the source's sound goes through before it is recognised; None is the source itself."""


@dataclass(frozen=True, slots=True)
class Account:
    """Where the samples of a track went, up to now."""

    captured: int
    """Sound that was taken, gaps included."""
    decoded: int
    """Sound in utterances."""
    silence: int
    """Sound without speech."""
    gaps: int
    waiting: int
    """Sound that was taken and waits for a step."""

    @property
    def balanced(self) -> bool:
        """Nothing is missing and nothing is counted twice."""
        parts = (self.decoded, self.silence, self.gaps, self.waiting)
        return min(parts) >= 0 and sum(parts) == self.captured

    def __str__(self) -> str:
        parts = {"transcribed": self.decoded, "silent": self.silence, "lost": self.gaps, "waiting": self.waiting}
        counts = ", ".join(f"{n / SAMPLE_RATE:.1f} s {name}" for name, n in parts.items())
        return f"{self.captured / SAMPLE_RATE:.1f} s captured, but {counts}"


class TrackRequests:
    """Silence and ends of utterances that the user asked for. Any thread asks; the decode thread carries out."""

    def __init__(self) -> None:
        self._silences: list[tuple[int, int | None]] = []
        """[start, end) of sound that the user muted; the last may be open."""
        self._ends: deque[int] = deque()
        """Where the user ended an utterance, in sound that is not decoded yet."""
        self._switches = False
        self._resumed: set[int] = set()
        """Where listening began, or went on after a pause."""

    @property
    def muted(self) -> bool:
        return bool(self._silences) and self._silences[-1][1] is None

    def mute(self, sample: int) -> None:
        """Hear silence from here on."""
        self._silences.append((sample, None))

    def unmute(self, sample: int) -> int:
        """Hear sound again from here on. Returns how many samples were muted."""
        start, _ = self._silences[-1]
        self._silences[-1] = start, sample
        return sample - start

    def end_utterance(self, sample: int) -> None:
        """End the utterance here."""
        self._ends.append(sample)

    def switch_input(self) -> None:
        """The next gap, if it is short, is caused by a change of the input."""
        self._switches = True

    def resume(self, sample: int) -> None:
        """Listening goes on here: a short gap from here on is the opening of the input, also of a changed one."""
        self._switches = False
        self._resumed.add(sample)

    def cause_of_gap(self, start_sample: int, n_samples: int) -> str:
        """See `AudioGap.cause`. A request explains one gap."""
        resumed = start_sample in self._resumed
        self._resumed.discard(start_sample)
        switches, self._switches = self._switches and not resumed, self._switches and resumed
        if n_samples > SWITCH_SAMPLES:
            return ""
        return "opening" if resumed else "switch" if switches else ""

    def parts(self, block: AudioBlock) -> Iterator[AudioBlock]:
        """The block with its muted sound replaced by zeros, cut where utterances are to end."""
        block = silenced(block, self._silences)
        while self._ends and block.start_sample < self._ends[0] < block.end_sample:
            n = self._ends[0] - block.start_sample
            yield AudioBlock(block.start_sample, block.samples[:n])
            block = AudioBlock(block.start_sample + n, block.samples[n:])
        yield block

    def end_is_due(self, heard_until: int) -> bool:
        """True once for each end of an utterance in sound up to here."""
        due = bool(self._ends) and self._ends[0] <= heard_until
        if due:
            self._ends.popleft()
        return due

    def move_to(self, sample: int) -> None:
        """The sound goes on at another place: only a mute that holds now is still of use."""
        self._ends.clear()
        self._silences = [(sample, None)] if self.muted else []


class Track:
    """Belongs to the decode thread. Any thread may use `status`, `requests`, `pause`, `resume` and the source.

    What hears or decodes yields the facts and updates to publish, in order, and works while they are iterated over.
    """

    def __init__(
        self,
        given: TrackSource,
        wall: WallClock,
        costs: StepCosts,
        note_step: Callable[[str, Step], None] = lambda label, step: None,
        on_sound: Callable[[str, AudioBlock], None] = lambda label, block: None,
    ) -> None:
        """
        Args:
            note_step: gets the label and each step before it is made.
            on_sound: gets the label and the sound before its steps.
        """
        self.label = given.label
        self.source = given.source
        self._feed = given.feed or given.source
        self.requests = TrackRequests()
        if given.source.live:
            self.requests.resume(given.source.first_sample)
        self._steps = given.steps
        self._wall = wall
        self._costs = costs
        self._note_step, self._on_sound = note_step, on_sound
        self._paused = False
        self._make_transcriber: Callable[[], StreamingTranscriber]
        self._transcriber: StreamingTranscriber | None = None
        self.end_sample = given.source.first_sample
        """End of the sound that was taken."""
        self._begin_sample = self.end_sample  # of the sound since the last jump
        self._jumped = 0  # sum of all jumps in samples, forward above 0
        self._accepted_from = self.end_sample  # beginning of the last block, with the gap before it
        self._n_gaps = self._gap_samples = 0
        self._n_losses = self._lost_samples = 0  # those of them that the user did not cause
        self._heard = 0  # samples that the transcriber accepted
        self._in_utterances = 0  # samples in closed utterances
        self._open: tuple[int, int] | None = None  # [start, end) of the open utterance
        self._last_end = self.end_sample  # of the last closed utterance
        self._gaps: list[tuple[int, int]] = []  # those that an utterance may still reach over
        self._is_unbalanced = False  # and was reported as such

    # ---- from any thread

    def pause(self) -> None:
        self._paused = True
        self.source.pause()

    def resume(self) -> None:
        self._paused = False
        self.requests.resume(self.source.arrived_samples)
        self.source.resume()

    @property
    def status(self) -> TrackStatus:
        transcriber, arrived = self._transcriber, self.source.arrived_samples
        return TrackStatus(
            label=self.label,
            source=self.source.name,
            arrived_samples=arrived,
            decoded_samples=self._decoded_until(transcriber, arrived),
            level=self.source.level,
            speaking=transcriber.speaking if transcriber else False,
            language=transcriber.language if transcriber else None,
            trouble=self.source.trouble,
            n_gaps=self._n_losses,
            gap_samples=self._lost_samples,
            about=self.source.about,
        )

    @property
    def diagnostics(self) -> dict[str, str]:
        """What helps to find a fault, name to value, in the order to be shown."""
        facts: dict[str, str] = {}
        name = f"{self.label} " if self.label else ""
        if self._transcriber is not None:
            done = self._transcriber.statistics
            chunk_seconds = self._transcriber.chunk_samples / SAMPLE_RATE
            facts[f"{name}step of sound"] = f"{chunk_seconds:.2f} s, {done.n_steps} steps so far"
            if n_tokens := done.n_accepted + done.n_passes:
                facts[f"{name}guessed right"] = f"{done.n_accepted / n_tokens:.0%} of {n_tokens} tokens"
            facts[f"{name}passes"] = f"{done.n_passes / max(1, done.n_steps):.1f} a step"
        if health := self.source.health:
            facts[f"{name}xruns"] = f"{health.n_overflows} overflows, {health.n_flags} flags"
            facts[f"{name}opened"] = "once" if health.n_opened == 1 else f"{health.n_opened} times"
            if health.drift_ppm is not None:
                facts[f"{name}clock drift"] = f"{health.drift_ppm:.0f} ppm"
        return facts

    # ---- the decode thread

    def start(self, make_transcriber: "Callable[[], StreamingTranscriber]") -> None:
        """The model is loaded: sound can be decoded from now on."""
        self._make_transcriber = make_transcriber
        self._transcriber = make_transcriber()

    def close(self) -> None:
        """Nothing more will be decoded."""
        if self._transcriber is not None:
            self._transcriber.close()

    def first_anchor(self) -> ClockAnchored | None:
        """When sample 0 was heard, for a device that was opened before the session began."""
        if not self.source.live or self.source.started_wall is None:
            return None
        return ClockAnchored(self.label, 0, iso_time(max(self.source.started_wall, self._wall.started)))

    @property
    def ended(self) -> bool:
        """No more sound will come, and all was taken."""
        return self._feed.ended

    def take(self) -> AudioBlock | None:
        """The next sound to hear; None if there is none now. Raises AudioError: the source failed."""
        return self._feed.take()

    def hear(self, block: AudioBlock) -> Iterator[SessionEvent | TranscriptUpdate]:
        """Accept the next sound, and make the steps that are due."""
        for part in (piece for asked in self.requests.parts(block) for piece in self._cut_at_steps(asked)):
            if self.end_sample < part.start_sample and self._recorded(self.end_sample, part.start_sample):
                # A step was made when only the gap before this sound was known.
                yield from self._hear_part(AudioBlock(part.start_sample, part.samples[:0]))
            yield from self._hear_part(part)
            yield from self.end_requested_utterances()

    def end_requested_utterances(self) -> Iterator[SessionEvent | TranscriptUpdate]:
        """End the utterance where the user asked for it, once all sound before that is accepted."""
        while self.requests.end_is_due(self.end_sample):
            yield from self.end_utterance()

    def end_utterance(self) -> Iterator[SessionEvent | TranscriptUpdate]:
        """Decode all that was heard, and close the utterance."""
        return self._decode(self._next_step(closes=True))

    def finish(self) -> Iterator[SessionEvent | TranscriptUpdate]:
        """The source has ended: decode what is left."""
        yield from self.end_utterance()
        if waiting := self.account().waiting:
            yield from self._report_unbalanced(f"{waiting / SAMPLE_RATE:.1f} s were never transcribed")
        if gap := self._close_gap(self.source.arrived_samples):
            yield gap

    def settle(self) -> UtteranceSettled | None:
        """Hear one closed utterance a second time; None if none waits for it."""
        transcriber = self._transcriber
        while transcriber is not None and transcriber.n_unsettled:
            settled = transcriber.settle()
            if settled.text.strip():  # otherwise the live text stays
                return settled
        return None

    def renew_transcriber(self, sample: int | None = None) -> None:
        """Go on with a new transcriber, after the utterance was ended.

        Args:
            sample: where the sound goes on; None: where it stopped.
        """
        old, self._transcriber = self._loaded, self._make_transcriber()
        self._transcriber.go_on_from(old, sample)
        old.close()

    def seek(self, sample: int) -> Jumped:
        """Go on at another place of a recording, after the utterance was ended.

        Raises:
            AudioError: the source cannot; nothing changed.
        """
        sample = self._feed.seek(sample)
        self.renew_transcriber(sample)
        jumped = Jumped(self.label, self.end_sample, sample)
        self._jumped += sample - self.end_sample
        self.end_sample = self._begin_sample = self._accepted_from = self._last_end = sample
        self._open = None
        self._gaps.clear()
        self.requests.move_to(sample)
        return jumped

    @property
    def heard_samples(self) -> int:
        """Sound that arrived, gaps included, without what was jumped over."""
        return self.source.arrived_samples - self.source.first_sample - self._jumped

    def account(self) -> Account:
        captured = self.end_sample - self.source.first_sample - self._jumped
        decoded = self._in_utterances + (self._sound_in(*self._open) if self._open else 0)
        waiting = self._sound_in(max(self._loaded.decoded_samples, self._begin_sample), self.end_sample)
        return Account(captured, decoded, self._heard - decoded - waiting, self._gap_samples, waiting)

    def report(self) -> CaptureReport | None:
        """How the track was captured so far; None if the model was never loaded."""
        if self._transcriber is None:
            return None
        account, health = self.account(), self.source.health
        report = CaptureReport(
            track=self.label,
            source=self.source.name,
            captured_samples=account.captured,
            decoded_samples=account.decoded,
            silence_samples=account.silence,
            gap_samples=account.gaps,
            n_gaps=self._n_gaps,
        )
        if health is None:
            return report
        p999, drift = health.callback_p999_seconds, health.drift_ppm
        return replace(
            report,
            n_blocks=health.n_blocks,
            n_flags=health.n_flags,
            n_overflows=health.n_overflows,
            n_opened=health.n_opened,
            callback_p999_ms=None if p999 is None else round(p999 * 1e3, 3),
            callback_max_ms=round(health.longest_callback_seconds * 1e3, 3),
            drift_ppm=None if drift is None else round(float(drift), 1),
        )

    @property
    def _loaded(self) -> "StreamingTranscriber":
        assert self._transcriber is not None, "start comes first"
        return self._transcriber

    def _hear_part(self, block: AudioBlock) -> Iterator[SessionEvent | TranscriptUpdate]:
        assert block.start_sample >= self.end_sample, "sound given twice"
        self._accepted_from = self.end_sample
        gap = self._close_gap(block.start_sample)
        self.end_sample = block.end_sample
        self._heard += len(block.samples)
        self._loaded.accept(block)
        self._on_sound(self.label, block)
        if gap:
            yield gap
        if not self._paused and (heard := self.source.heard):
            yield from self._wall.anchor(self.label, *heard)
        for step in self._due(block):
            yield from self._decode(step)

    def _due(self, block: AudioBlock) -> Sequence[Step]:
        """Steps to make now that `block` was accepted: the recorded ones; where none are known, one if it is worth its
        cost or listening paused."""
        if self._steps and self._accepted_from < self._steps[-1].end_sample:
            return self._recorded(self._accepted_from, self.end_sample)
        pauses = not len(block.samples)  # see AudioSource.take
        return [self._next_step(closes=pauses)] if pauses or self._loaded.ready else []

    def _cut_at_steps(self, block: AudioBlock) -> Iterator[AudioBlock]:
        """The block in pieces that end where recorded steps do."""
        for step in self._recorded(block.start_sample, block.end_sample - 1):
            n = step.end_sample - block.start_sample
            yield AudioBlock(block.start_sample, block.samples[:n])
            block = AudioBlock(step.end_sample, block.samples[n:])
        yield block

    def _next_step(self, closes: bool) -> Step:
        return Step(self.end_sample, self._loaded.chunk_samples, closes)

    def _recorded(self, start_sample: int, end_sample: int) -> Sequence[Step]:
        """Recorded steps in (start_sample, end_sample]."""
        ends = (bisect_right(self._steps, at, key=lambda step: step.end_sample) for at in (start_sample, end_sample))
        return self._steps[slice(*ends)]

    def _decode(self, step: Step) -> Iterator[SessionEvent | TranscriptUpdate]:
        transcriber = self._loaded
        waited_samples = max(0, self.source.arrived_samples - transcriber.due_until)
        before, stages, start = transcriber.decoded_samples, transcriber.statistics.seconds, time.perf_counter()
        self._note_step(self.label, step)
        for update in transcriber.flush(step.step_samples) if step.closes else transcriber.step(step.step_samples):
            self._note(update)
            yield update
        self._costs.add(
            StepCost(
                at_seconds=self.source.arrived_samples / SAMPLE_RATE,
                track=self.label,
                sound_seconds=(transcriber.decoded_samples - before) / SAMPLE_RATE,
                compute_seconds=time.perf_counter() - start,
                waited_seconds=waited_samples / SAMPLE_RATE,
                stages=transcriber.statistics.seconds - stages,
            )
        )
        account = self.account()
        if not account.balanced:
            yield from self._report_unbalanced(str(account))

    def _report_unbalanced(self, problem: str) -> Iterator[Notice]:
        if not self._is_unbalanced:
            self._is_unbalanced = True
            message = (
                f"livecap lost count of the sound of {self.source.name}: {problem}. Some words may be missing. "
                "This is a fault of livecap; please report it."
            )
            yield Notice(message, self.source.arrived_samples, "error")

    def _close_gap(self, end_sample: int) -> AudioGap | None:
        """The gap from the end of the last block up to here, if there is one."""
        start, self.end_sample = self.end_sample, max(end_sample, self.end_sample)
        if start == self.end_sample:
            return None
        self._n_gaps += 1
        self._gap_samples += self.end_sample - start
        self._gaps = [gap for gap in self._gaps if start - gap[1] < GAPS_SAMPLES]
        self._gaps.append((start, self.end_sample))
        cause = self.requests.cause_of_gap(start, self.end_sample - start)
        if not cause:
            self._n_losses += 1
            self._lost_samples += self.end_sample - start
        return AudioGap(self.label, start, self.end_sample, cause)

    def _note(self, update: TranscriptUpdate) -> None:
        """Learn which sound is in an utterance."""
        span = max(update.start_sample, self._last_end), update.end_sample  # the margins of two may overlap
        self._open = span
        if update.final:
            self._in_utterances += self._sound_in(*span)
            self._last_end = max(self._last_end, span[1])
            self._open = None

    def _decoded_until(self, transcriber: "StreamingTranscriber | None", arrived: int) -> int:
        """Where the sound that is decoded, or need not be yet, ends. Lag is counted from here.

        The sound of a recorded session is handed over in the pieces of its steps: nothing is late before one is due.
        """
        decoded = max(transcriber.due_until if transcriber else 0, self._begin_sample)
        due = bisect_right(self._steps, arrived, key=lambda step: step.end_sample)
        waits = 0 < len(self._steps) and due < len(self._steps)
        return arrived if waits and (due == 0 or self._steps[due - 1].end_sample <= decoded) else decoded

    def _sound_in(self, start: int, end: int) -> int:
        """Samples in [start, end) that are not in a gap."""
        lost = sum(max(0, min(end, gap_end) - max(start, gap_start)) for gap_start, gap_end in self._gaps)
        return max(0, end - start) - lost


def arrived_samples(tracks: Sequence[Track]) -> int:
    """The clock of a session: how much sound has arrived on the track that is farthest."""
    return max(track.source.arrived_samples for track in tracks)


def silenced(block: AudioBlock, silences: Sequence[tuple[int, int | None]]) -> AudioBlock:
    """The block with zeros wherever it lies in one of the spans [start, end); an end of None is now."""
    samples = block.samples
    for start, end in silences:
        low = max(0, start - block.start_sample)
        high = len(samples) if end is None else min(len(samples), end - block.start_sample)
        if low < high:
            samples = samples.copy()
            samples[low:high] = 0.0
    return block if samples is block.samples else AudioBlock(block.start_sample, samples)
