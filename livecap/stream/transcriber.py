"""StreamingTranscriber: a stream of sound becomes a stream of text. `accept` is cheap, `step` runs the model.

An utterance is the unit that is closed and logged. It ends at a pause or, in unbroken speech, after about 30 s. The
prompt does not depend on it: a new one begins at a pause once the old one holds enough or, in unbroken speech, at a
short pause in the stable text, before it exceeds its bound.

The end of speech has two stages. After 0.2 s of silence the sound so far is decoded with silence after it, so that the
last words are shown. After 0.7 s (0.5 s with `--vad silero`) the utterance is closed with that text.

The detector may be wrong: sound counts as silence only where its level agrees. Loud sound in which the detector finds
no speech is decoded too, and its text counts where the model is sure of it.
"""

import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial

from livecap.audio_in.source import AudioBlock
from livecap.audio_in.vad import SpeechDetector, SpeechEnded, SpeechEvent, SpeechPaused, SpeechStarted
from livecap.model.text.prompt import header_language
from livecap.model.text.tokenizer import ASR_TEXT
from livecap.stream.chunk_length import ChunkLength
from livecap.stream.config import StreamConfig, samples_in
from livecap.stream.loud_sound import FRAME_SAMPLES, LoudSound
from livecap.stream.prompt_window import PromptWindow
from livecap.stream.recent_sound import RecentSound
from livecap.stream.recogniser import Recogniser
from livecap.stream.settled_words import Align, settled_words
from livecap.stream.settling import ClosedUtterance, Settling
from livecap.stream.statistics import StepStatistics
from livecap.stream.token_text import Decodes, TokenText
from livecap.stream.word_times import place_words
from livecap.transcript import SAMPLE_RATE, TranscriptUpdate, UtteranceSettled


@dataclass(frozen=True, slots=True)
class _Split:
    """A place where a long utterance may be split."""

    n_ids: int
    """The number of its stable ids up to there."""
    sample: int
    at_pause: bool


@dataclass(slots=True)
class _Utterance:
    index: int
    start_sample: int
    at_pause: bool
    """It begins at a pause, however short."""
    shown: str = ""
    """Stable text so far; the next update must begin with it."""
    n_shown: int = 0
    """The number of its ids."""
    is_shown: bool = False
    """Some text was shown, stable or not."""
    doubtful_from: int | None = None
    """Where sound began that only its level marks as speech; None if the detector finds speech."""
    is_sure: bool = True
    """The detector heard it, or the model was sure of some text in it."""
    split: _Split | None = None
    """Where to split it once more text is stable."""


class StreamingTranscriber:
    """Transcribes one track of sound. Lives on the thread that loaded the model."""

    def __init__(
        self,
        recogniser: Recogniser,
        tokenizer: Decodes,
        config: StreamConfig | None = None,
        *,
        track: str = "",
        language: str | None = None,
        settling: Settling | None = None,
        align: Align | None = None,
        make_detector: Callable[[], SpeechDetector] | None = None,
        on_notice: Callable[[str], None] | None = None,
        now: Callable[[], float] = time.perf_counter,
    ) -> None:
        """
        Args:
            make_detector: makes the speech detector, at first and after each flush; None for that of `config`.
            language: the forced language, or None to report the one that the model names.
            settling: the second pass over closed utterances, for `settle`; None keeps their live text.
            align: the forced aligner, for the times of settled words.
            on_notice: called with one line for the user, such as a token budget that was reached.
            now: the time in seconds, for the measurement of a step's cost.
        """
        self._tokenizer = tokenizer
        self._text = TokenText(tokenizer)
        self._config = config or StreamConfig()
        self._track = track
        self._forced_language = language
        self._on_notice = on_notice or (lambda message: None)
        self._make_detector = make_detector or partial(SpeechDetector, self._config.detector)
        self._detector = self._make_detector()
        self._now = now
        self._settling = settling
        self._align = align
        self._chunk_length = ChunkLength(self._config.chunk)
        self._sound = RecentSound()
        self._loud = LoudSound()
        self._window = PromptWindow(recogniser, self._text, self._config, self._sound, self._loud, self._detector)
        self._events: deque[SpeechEvent] = deque()
        self._utterance: _Utterance | None = None
        self._n_utterances = 0
        self._decoded_until = 0
        """Sound up to here was decoded, or has no speech."""
        self._decided_until = 0
        """Sound up to here was decoded, or detector and level agree that nobody speaks."""
        self._end_is_decoded = False
        """All sound so far was decoded with silence after it, so nothing is left to do if no more speech comes."""
        self.language = language

    def share(self, n_streams: int) -> None:
        """Lengthen steps, since `n_streams` streams speak, with this one, and are decoded in turn on this thread."""
        self._chunk_length.n_sharing = n_streams

    # ---- sound in, text out

    def accept(self, block: AudioBlock) -> None:
        """Take new sound. Cheap: it is stored and passed to the speech detector. A gap before it counts as silence."""
        self._sound.append(block.start_sample, block.samples)
        self._loud.append(block.start_sample, block.samples)
        self._events.extend(self._detector.accept(block))
        if self._utterance is None and not self._events:
            self._decoded_until = block.end_sample
            # The last second may hold the beginning of a word.
            silent_until = block.end_sample - SAMPLE_RATE
            if doubtful := self._loud.groups(self._decided_until, block.end_sample):
                silent_until = doubtful[0][0] - samples_in(self._config.utterance.end_margin_seconds)
            self._decided_until = max(self._decided_until, silent_until)
            self._forget_sound(self._decided_until)

    @property
    def ready(self) -> bool:
        """True when a step is worth its cost: there is enough new sound in speech, or speech paused or ended."""
        if any(self._matters(event) for event in self._events):
            return True
        if self._utterance is None and self._events:
            return self._sound.end_sample - self._events[0].sample >= self.chunk_samples
        return self._is_due(self.chunk_samples) or self._doubt_is_due()

    def step(self, chunk_samples: int | None = None) -> Iterator[TranscriptUpdate]:
        """Decode what has arrived; yields each update as soon as it is known.

        Args:
            chunk_samples: how much new sound is decoded although speech goes on; None for `self.chunk_samples`.
        """
        due_samples = self.chunk_samples if chunk_samples is None else chunk_samples
        while self._events:
            event = self._events.popleft()
            if isinstance(event, SpeechStarted):
                yield from self._start_speech(event.sample)
            elif isinstance(event, SpeechEnded):
                yield from self._end_speech(event.sample)
            elif self._matters(event) and (self._last_voiced_sample <= event.sample or self._may_roll_at(event)):
                yield from self._hear_the_end(event.sample)
        if self._is_due(due_samples):
            yield from self._decode_until(self._sound.end_sample)
        if self._doubt_is_due():
            yield from self._decide(self._sound.end_sample)

    def flush(self, chunk_samples: int | None = None) -> Iterator[TranscriptUpdate]:
        """Decode all sound and make its text stable, because listening pauses or ends. Sound may follow.

        Args:
            chunk_samples: as in `step`.
        """
        yield from self.step(chunk_samples)
        yield from self._hear_the_end(self._sound.end_sample)
        yield from self._end_utterance()
        for start, end in self._loud.groups(self._decided_until, self._sound.end_sample):
            yield from self._hear_doubtful(start, end)
        self._decoded_until = max(self._decoded_until, self._sound.end_sample)  # it may have heard nothing yet
        self._decided_until = max(self._decided_until, self._sound.end_sample)
        # The next sound may begin inside a word. A detector that still hears the old speech would not report that.
        self._detector = self._window.detector = self._make_detector()

    @property
    def n_unsettled(self) -> int:
        """Closed utterances that wait for `settle`."""
        return self._settling.n_waiting if self._settling else 0

    def settle(self) -> UtteranceSettled:
        """The second pass over the next closed utterance. As expensive as a step, so call it when no step is due."""
        assert self._settling is not None, "this transcriber does not settle"
        settled = self._settling.settle(self._sound, self._text)
        utterance, ids, joints = settled.utterance, settled.ids, settled.joints
        text, _ = self._text.decode(ids, [], joints)
        is_same = settled.header == utterance.header
        language = utterance.language if is_same else self._named_language(settled.header) or utterance.language
        return UtteranceSettled(
            track=self._track,
            utterance=utterance.index,
            text=text,
            start_sample=utterance.start_sample,
            end_sample=utterance.end_sample,
            language=language,
            words=settled_words(settled, text, self._text.words(ids, joints), self._align, language),
        )

    def go_on_from(self, other: "StreamingTranscriber", sample: int | None = None) -> None:
        """Take over from another transcriber of this track, which was flushed, and continue to count its utterances.

        Args:
            sample: where the sound continues; None: where it stopped.
        """
        self._n_utterances = other._n_utterances
        self._decoded_until = self._decided_until = other._decoded_until if sample is None else sample

    def close(self) -> None:
        """Release all sound. Called last, on the thread that made the transcriber."""
        if self._settling:
            self._settling.close()
        self._window.close()

    @property
    def decoded_samples(self) -> int:
        """Sound up to here needs no more work."""
        return self._decoded_until

    @property
    def due_until(self) -> int:
        """Sound up to here is decoded or waits for a step that is not due yet. Lag is counted from here."""
        waiting = self._sound.end_sample - self._decoded_until
        return self._decoded_until + min(waiting, self.chunk_samples)

    @property
    def chunk_samples(self) -> int:
        """New sound that the next step waits for."""
        utterance, config = self._utterance, self._config
        awaits_words = utterance is None or not (
            utterance.is_shown
            or self._sound.end_sample - utterance.start_sample > samples_in(config.chunk.first_words_seconds)
        )
        return self._chunk_length.samples(awaits_words)

    @property
    def statistics(self) -> StepStatistics:
        """Sums over all steps so far."""
        return self._window.statistics

    @property
    def speaking(self) -> bool:
        return self._detector.speaking

    # ---- where speech is

    def _start_speech(self, sample: int) -> Iterator[TranscriptUpdate]:
        """The detector heard that speech starts: begin an utterance, with the loud sound just before it."""
        yield from self._decide(sample, ends=False)
        if self._utterance is not None:
            self._utterance.doubtful_from = None
            return
        start = sample
        for loud_start, loud_end in self._loud.groups(self._decided_until, self._sound.end_sample):
            if sample - loud_end >= self._quiet_samples:
                yield from self._hear_doubtful(loud_start, loud_end)
            elif loud_start < sample + SAMPLE_RATE // 10:  # a word begins before the detector heard it, or just there
                start = min(start, self._before(loud_start))
        self._begin_utterance(max(start, self._decided_until))

    def _end_speech(self, sample: int) -> Iterator[TranscriptUpdate]:
        """The detector heard that speech ended: close the utterance, unless sound beside the end is loud."""
        if self._utterance is None:
            return
        stop = sample + samples_in(self._config.utterance.end_margin_seconds)
        yield from self._hear_the_end(stop)
        if self._utterance is None:
            return
        heard = min(self._last_voiced_sample, sample)
        loud = self._loud.groups(heard, self._sound.end_sample)
        if any(start < stop < end + FRAME_SAMPLES for start, end in loud):  # a word ends up to a frame later
            self._utterance.doubtful_from = heard
        else:
            yield from self._end_utterance()

    def _doubt_is_due(self) -> bool:
        """True if loud sound in which the detector finds no speech should be decoded now, or has ended."""
        now, utterance = self._sound.end_sample, self._utterance
        if self._events:
            return False
        if utterance is not None:
            if utterance.doubtful_from is None:
                return False
            return now - self._last_loud_sample >= self._quiet_samples
        doubtful = self._loud.groups(self._decided_until, now)
        return bool(doubtful) and (
            now - doubtful[0][1] >= self._quiet_samples or now - doubtful[0][0] >= self._doubt_samples
        )

    def _decide(self, now: int, ends: bool = True) -> Iterator[TranscriptUpdate]:
        """Find out whether loud sound up to `now` is speech, as far as that is due.

        Args:
            ends: False only closes an utterance whose loud sound has ended.
        """
        if self._utterance is None and ends:
            start, end = self._loud.groups(self._decided_until, now)[0]
            if now - end >= self._quiet_samples:
                yield from self._hear_doubtful(start, end)
            else:
                self._begin_doubtful(start)
                yield from self._decode_until(now)
        elif self._utterance is not None and self._utterance.doubtful_from is not None:
            if now - self._last_loud_sample >= self._quiet_samples:
                yield from self._hear_the_end(self._behind(self._last_loud_sample))
                yield from self._end_utterance()

    def _hear_doubtful(self, start: int, end: int) -> Iterator[TranscriptUpdate]:
        """Decode a stretch of loud sound from its start to its end; its text counts if the model is sure of it."""
        self._begin_doubtful(start)
        yield from self._hear_the_end(self._behind(end))
        yield from self._end_utterance()

    def _begin_doubtful(self, start: int) -> None:
        start = self._before(start)
        self._begin_utterance(start)
        assert self._utterance is not None
        self._utterance.doubtful_from, self._utterance.is_sure = start, False

    def _before(self, sample: int) -> int:
        return max(sample - samples_in(self._config.utterance.end_margin_seconds), self._decided_until)

    def _behind(self, sample: int) -> int:
        return sample + samples_in(self._config.utterance.end_margin_seconds)

    @property
    def _quiet_samples(self) -> int:
        return samples_in(self._config.utterance.quiet_seconds)

    @property
    def _doubt_samples(self) -> int:
        return samples_in(self._config.utterance.doubt_seconds)

    @property
    def _last_loud_sample(self) -> int:
        """The end of the last loud sound of an utterance in doubt."""
        assert self._utterance is not None and self._utterance.doubtful_from is not None
        doubtful_from = self._utterance.doubtful_from
        loud = self._loud.groups(doubtful_from, self._sound.end_sample)
        return loud[-1][1] if loud else doubtful_from

    # ---- utterances

    def _begin_utterance(self, sample: int) -> None:
        """Start an utterance: in the open prompt if that is near and not full, otherwise in a new one."""
        config, window = self._config.prompt, self._window
        if (
            not window.is_open
            or sample - window.end_sample > samples_in(config.joined_pause_seconds)
            or window.end_sample - window.start_sample >= samples_in(config.restart_seconds)
        ):
            window.begin(sample)
            self._forget_sound(sample)
        else:
            window.hypothesis.begin_utterance(sample)
        self._open_utterance(sample)

    def _open_utterance(self, sample: int, at_pause: bool = True) -> None:
        before = self._utterance
        self._end_is_decoded = False
        self._utterance = _Utterance(self._n_utterances, sample, at_pause)
        if before is not None:
            self._utterance.doubtful_from = before.doubtful_from
        self._n_utterances += 1

    def _end_utterance(self, at_pause: bool = True) -> Iterator[TranscriptUpdate]:
        """Close the utterance: speech ended, unless it does not end `at_pause`. All believed text becomes stable."""
        if self._utterance is None:
            return
        end = self._decided_until = self._before_unfinished_word()
        self._decoded_until = max(self._decoded_until, self._window.end_sample)
        if self._utterance.is_sure:
            spans = self._detector.voiced_spans(self._utterance.start_sample, end)
            self._window.hypothesis.believe_all(sum(high - low for low, high in spans))
            yield self._close_utterance(end, at_pause)
        else:  # nobody spoke, and nothing was shown
            self._n_utterances -= 1
            if self._settling:
                self._settling.end_group()
        self._utterance = None

    def _before_unfinished_word(self) -> int:
        """The end of the decoded sound; just before the last loud sound where an utterance in doubt would cut it."""
        assert self._utterance is not None
        end, doubtful_from = self._window.end_sample, self._utterance.doubtful_from
        if doubtful_from is not None and (loud := self._loud.spans(doubtful_from, end)):
            start = loud[-1][0] - SAMPLE_RATE // 25
            if loud[-1][1] > end - SAMPLE_RATE // 10 and start - doubtful_from > self._doubt_samples // 2:
                return start
        return end

    def _split_utterance(self) -> Iterator[TranscriptUpdate]:
        """Close a long utterance at a pause that a step ended in, since only there it is certain which words were said
        before; one that is too long, where `_note_split` found a place.

        A word behind the place must be stable: it cannot become punctuation, or the rest of a word, of the text before.
        """
        utterance, hypothesis, config = self._utterance, self._window.hypothesis, self._config.utterance
        if utterance is None:
            return
        ids, first, split = hypothesis.stable_ids, hypothesis.utterance_start, utterance.split
        earliest = utterance.start_sample + samples_in(config.split_seconds)
        for n, sample in hypothesis.stable_pauses():
            if sample >= earliest and max(utterance.n_shown, 1) <= n - first < len(ids):
                split = _Split(n - first, self._window.middle_of_silence(sample), at_pause=True)
        if split is None:
            return
        behind = ids[split.n_ids :]
        length = self._window.end_sample - utterance.start_sample
        if behind and not self._text.starts_word(behind[0]):
            utterance.split = None
        elif behind or length >= samples_in(config.latest_split_seconds):
            yield self._close_utterance(split.sample, split.at_pause, split.n_ids)
            self._open_utterance(split.sample, split.at_pause)

    def _note_split(self) -> None:
        """Note where the stable text ends as the place to split an utterance that is too long."""
        utterance, hypothesis, n_ids = self._utterance, self._window.hypothesis, len(self._window.hypothesis.stable_ids)
        assert utterance is not None
        length = self._window.end_sample - utterance.start_sample
        if length < samples_in(self._config.utterance.max_utterance_seconds) or not n_ids:
            return
        if utterance.split is None or utterance.split.n_ids != n_ids:
            sample = max(hypothesis.sample_at_frontier(), utterance.start_sample)
            utterance.split = _Split(n_ids, sample, at_pause=False)

    def _close_utterance(self, end_sample: int, at_pause: bool = True, n_ids: int | None = None) -> TranscriptUpdate:
        """The last update of the open utterance, with all its words.

        Args:
            at_pause: it ends at a pause, so its sound can be cut there.
            n_ids: how many of its stable ids belong to it; None for all.
        """
        utterance, hypothesis = self._utterance, self._window.hypothesis
        assert utterance is not None
        ids, within = hypothesis.stable_ids[:n_ids], (utterance.start_sample, end_sample)
        if self._forced_language is None and ids:
            self.language = self._named_language(self._window.header) or self.language
        voiced = tuple(self._detector.voiced_spans(*within) or self._loud.spans(*within))
        texts = self._text.words(ids, hypothesis.joints)
        heard_by = [hypothesis.heard_by(n) for _, n in texts]
        words = place_words([text for text, _ in texts], heard_by, within, voiced)
        if self._settling and (voiced or not (utterance.at_pause and at_pause)):
            closed = ClosedUtterance(
                utterance.index,
                *within,
                joints=tuple(hypothesis.joints),
                header=self._window.header,
                ids=tuple(ids),
                margins=tuple(hypothesis.stable_margins[:n_ids]),
                words=words,
                voiced=voiced,
                language=self.language,
            )
            self._settling.add(closed, goes_on=not at_pause)
        update = replace(self._update(final=True, end_sample=end_sample, n_ids=n_ids), words=words)
        hypothesis.close_utterance(len(ids))
        return update

    def _forget_sound(self, before_sample: int) -> None:
        """Release sound before `before_sample`, except what may still be needed."""
        config = self._config
        joined = samples_in(config.prompt.joined_pause_seconds + config.utterance.preroll_seconds)
        needed = [before_sample - joined]
        if self._window.is_open and before_sample - self._window.end_sample <= joined:
            needed.append(self._window.start_sample)  # speech may continue in this prompt, which may be cut anywhere
        if self._utterance is not None:
            needed.append(self._utterance.start_sample - samples_in(config.prompt.joined_pause_seconds))
        if self._settling and self._settling.needs_from is not None:
            needed.append(self._settling.needs_from)
        self._sound.forget(min(needed))

    # ---- decoding

    def _matters(self, event: SpeechEvent) -> bool:
        """True if a step should handle the event at once. A short pause matters only if the prompt will soon roll."""
        if isinstance(event, SpeechPaused):
            breath = event.quiet_samples >= samples_in(self._config.utterance.breath_seconds)
            return breath or (self._utterance is not None and self._window.wants_pause(event.quiet_samples))
        return isinstance(event, SpeechEnded)

    def _may_roll_at(self, event: SpeechPaused) -> bool:
        """True if the prompt will soon roll, and this pause lies in sound that came late, with speech behind it."""
        is_late = self._sound.end_sample - event.sample > samples_in(self._config.utterance.breath_seconds)
        is_new = event.sample > self._window.end_sample
        return is_late and is_new and self._window.wants_pause(event.quiet_samples)

    def _is_due(self, chunk_samples: int) -> bool:
        """True if that much new sound has arrived since the last decode, with voice in it."""
        if self._utterance is None:
            return False
        heard, now = self._window.end_sample, self._sound.end_sample
        if self._utterance.doubtful_from is not None:
            return now - heard >= max(chunk_samples, self._doubt_samples) and bool(self._loud.groups(heard, now))
        if self._end_is_decoded and self._last_voiced_sample <= heard:
            return False
        return now - heard >= chunk_samples

    @property
    def _last_voiced_sample(self) -> int:
        return self._detector.last_voiced_sample or 0

    def _hear_the_end(self, end_sample: int) -> Iterator[TranscriptUpdate]:
        """Decode up to `end_sample` as if nothing followed, because speech may end there."""
        if self._utterance is None:
            return
        heard = self._window.end_sample
        is_quiet = not self._loud.spans(heard - FRAME_SAMPLES, end_sample)
        if self._end_is_decoded and self._last_voiced_sample <= heard and is_quiet:
            return
        stop = max(min(end_sample, self._sound.end_sample), self._window.end_sample)
        yield from self._decode_until(stop, at_end=True)

    def _decode_until(self, end_sample: int, at_end: bool = False) -> Iterator[TranscriptUpdate]:
        """Decode new sound up to `end_sample`, in parts that fit into the prompt.

        Args:
            at_end: add silence after it, even if no sound is new.
        """
        most = samples_in(self._config.prompt.max_new_seconds)
        while self._utterance is not None:
            stop = min(end_sample, self._window.end_sample + most)
            is_last = at_end and stop == end_sample
            if stop == self._window.end_sample and not is_last:
                return
            if not self._window.prepare_for(stop):
                yield from self._restart()
            self._forget_sound(self._window.start_sample)
            yield from self._decode(stop, is_last)
            self._end_is_decoded = is_last
            if is_last:
                return

    def _restart(self) -> Iterator[TranscriptUpdate]:
        """Close the utterance, and begin a new prompt and a new utterance here."""
        here, doubtful_from = self._window.end_sample, self._utterance and self._utterance.doubtful_from
        yield from self._end_utterance(at_pause=False)
        self._window.begin(here)
        self._open_utterance(here, at_pause=False)
        if self._utterance is not None and doubtful_from is not None:
            self._utterance.doubtful_from = here

    def _decode(self, end_sample: int, at_end: bool) -> Iterator[TranscriptUpdate]:
        """Decode the sound of the prompt with one pass of the model."""
        start, before = self._now(), self._window.hypothesis.tokens
        decoded = self._window.decode(end_sample, at_end)
        if (one := self._utterance) is not None and one.at_pause and self._window.is_misled(one.start_sample):
            # The text before the pause misleads the model: decode the utterance without it.
            before = before[self._window.hypothesis.utterance_start :]
            self._window.begin(one.start_sample)
            self._window.hypothesis.restore(before)
            decoded = self._window.decode(end_sample, at_end)
        self._chunk_length.note_cost(self._now() - start)
        if self._forced_language is None and self._window.hypothesis.prefix:
            # Some of its text is stable. Before that the language is a guess, and may change in the next step.
            self.language = self._named_language(decoded.header) or self.language
        if not decoded.complete:
            at = end_sample / SAMPLE_RATE
            self._on_notice(f"The model reached its token limit at {at:.0f} s; the rest is decoded in the next step.")
        self._decoded_until = max(self._decoded_until, end_sample)
        utterance, hypothesis = self._utterance, self._window.hypothesis
        if utterance is not None and utterance.doubtful_from is not None and end_sample > utterance.doubtful_from:
            if hypothesis.margin_since(utterance.doubtful_from) < self._config.commit.doubted_margin:
                hypothesis.restore(before)
                yield from self._end_utterance()
                return
            utterance.doubtful_from, utterance.is_sure = end_sample, True
        yield from self._split_utterance()
        yield self._update()
        self._note_split()

    def _named_language(self, header: tuple[int, ...]) -> str | None:
        return header_language(self._tokenizer.decode(list(header)).partition(ASR_TEXT)[0]) or None

    def _update(self, final: bool = False, end_sample: int | None = None, n_ids: int | None = None) -> TranscriptUpdate:
        utterance, hypothesis = self._utterance, self._window.hypothesis
        assert utterance is not None
        partial_ids = [] if final else hypothesis.shown_ids
        stable, partial = self._text.decode(hypothesis.stable_ids[:n_ids], partial_ids, hypothesis.joints)
        assert stable.startswith(utterance.shown), "stable text changed"
        utterance.shown, utterance.n_shown = stable, len(hypothesis.stable_ids)
        utterance.is_shown = utterance.is_shown or bool(stable or partial)
        return TranscriptUpdate(
            track=self._track,
            utterance=utterance.index,
            stable=stable,
            partial=partial,
            start_sample=utterance.start_sample,
            end_sample=self._window.end_sample if end_sample is None else end_sample,
            language=self.language,
            final=final,
        )
