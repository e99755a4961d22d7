"""StreamingTranscriber: sound in time becomes text in time. `accept` is cheap, `step` is dear, `finish` is the end.

An utterance is what is closed and logged: it ends at a pause or, unbroken, after 30 s. The prompt's window is a matter
of its own: it begins anew at a pause once it holds enough, or in unbroken speech at a short pause in what is stable,
before it outgrows the context bound.

The end of speech comes in two stages: after 0.2 s without a voice the sound so far is decoded with silence behind it,
so that the last words are shown; after 0.7 s the utterance is closed with just that text.
"""

import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from livecap.audio_in.source import AudioChunk
from livecap.audio_in.vad import SpeechDetector, SpeechEnded, SpeechEvent, SpeechPaused, SpeechStarted
from livecap.model.prompt import header_language
from livecap.model.tokenizer import ASR_TEXT, Tokenizer
from livecap.stream.config import StreamConfig
from livecap.stream.hypothesis import Hypothesis
from livecap.stream.recogniser import Decoded, Recogniser
from livecap.stream.settling import ClosedUtterance, Settling
from livecap.stream.sound import RecentSound
from livecap.stream.step_length import StepLength
from livecap.stream.token_text import TokenText
from livecap.stream.word_times import carry_over, place_words
from livecap.transcript import SAMPLE_RATE, TranscriptUpdate, UtteranceSettled


@dataclass(slots=True)
class _Utterance:
    index: int
    start_sample: int
    at_pause: bool
    """It begins at a pause, however short."""
    shown: str = ""
    """Stable text so far; the next update must begin with it."""


@dataclass(slots=True)
class StepStatistics:
    """What the steps so far did."""

    n_steps: int = 0
    n_drafted: int = 0
    """Tokens offered as a draft."""
    n_accepted: int = 0
    """Of those, the tokens that the model said again."""
    n_passes: int = 0
    """Sequential passes through the decoder."""
    n_runaways: int = 0


class StreamingTranscriber:
    """One track of sound. Lives on the thread that loaded the model."""

    def __init__(
        self,
        recogniser: Recogniser,
        tokenizer: Tokenizer,
        config: StreamConfig | None = None,
        *,
        track: str = "",
        language: str | None = None,
        settling: Settling | None = None,
        make_detector: Callable[[], SpeechDetector] = SpeechDetector,
        on_notice: Callable[[str], None] | None = None,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        """
        Args:
            language: the forced language, or None to report the one that the model names.
            settling: hears closed utterances again, in `settle`; None leaves their live text.
            on_notice: told what a person should know, such as a token budget that was hit.
            clock: seconds, by which the cost of a step is measured.
        """
        self._recogniser = recogniser
        self._tokenizer = tokenizer
        self._text = TokenText(tokenizer)
        self._config = config or StreamConfig()
        self._track = track
        self._forced_language = language
        self._on_notice = on_notice or (lambda message: None)
        self._make_detector = make_detector
        self._detector = make_detector()
        self._clock = clock
        self._settling = settling
        self._step_length = StepLength(self._config)
        self._sound = RecentSound()
        self._events: deque[SpeechEvent] = deque()
        self._hypothesis: Hypothesis | None = None
        """Of the prompt's window; None before the first."""
        self._header: tuple[int, ...] = ()
        self._utterance: _Utterance | None = None
        self._n_utterances = 0
        self._heard_until = 0
        """Sound that was decoded, or in which nobody spoke."""
        self._end_is_heard = False
        """All sound so far was decoded with silence behind it: if no more speech comes, nothing is left to do."""
        self._n_runaways = 0
        self.language = language
        self.statistics = StepStatistics()

    # ---- the three verbs

    def accept(self, chunk: AudioChunk) -> None:
        """Sound that arrived. Cheap: the speech detector looks at it, and it is kept. A gap is heard as silence."""
        self._sound.append(chunk.start_sample, chunk.samples)
        self._events.extend(self._detector.accept(chunk))
        if self._utterance is None and not self._events:
            self._heard_until = chunk.end_sample
            self._forget_sound(chunk.end_sample)

    @property
    def ready(self) -> bool:
        """True when a step is worth its cost: enough new sound in speech, or speech that paused or ended."""
        if any(self._matters(event) for event in self._events):
            return True
        if self._utterance is None and self._events:
            return self._sound.end_sample - self._events[0].sample >= self._step_length.samples
        return self._is_due

    def step(self) -> Iterator[TranscriptUpdate]:
        """One round over all that has arrived; each update is handed over as soon as it is known."""
        while self._events:
            event = self._events.popleft()
            if isinstance(event, SpeechStarted):
                self._begin_utterance(event.sample)
            elif isinstance(event, SpeechEnded):
                yield from self._hear_the_end(event.sample + self._config.samples(self._config.end_margin_seconds))
                yield from self._end_utterance()
            elif self._matters(event) and self._last_voiced_sample <= event.sample:
                yield from self._hear_the_end(event.sample)
        if self._is_due:
            yield from self._decode_until(self._sound.end_sample)

    def flush(self) -> Iterator[TranscriptUpdate]:
        """Listening pauses: what was heard is decoded, and all of it becomes stable. Sound may follow."""
        yield from self.step()
        yield from self._hear_the_end(self._sound.end_sample)
        yield from self._end_utterance()
        self._heard_until = self._sound.end_sample
        # What follows may begin in the middle of a word: a detector that still hears the old speech would not say so.
        self._detector = self._make_detector()

    def finish(self) -> Iterator[TranscriptUpdate]:
        """No more sound will come."""
        return self.flush()

    @property
    def n_unsettled(self) -> int:
        """Closed utterances that `settle` has not heard yet."""
        return self._settling.n_waiting if self._settling else 0

    def settle(self) -> UtteranceSettled:
        """The next closed utterance, heard once more as a whole. As dear as a step: for when no step is due."""
        assert self._settling is not None, "this transcriber does not settle"
        utterance, ids = self._settling.settle(self._sound)
        text, _ = self._text.decode(ids, [])
        within = utterance.start_sample, utterance.end_sample
        texts = [word for word, _ in self._text.words(ids)]
        return UtteranceSettled(
            track=self._track,
            utterance=utterance.index,
            text=text,
            start_sample=utterance.start_sample,
            end_sample=utterance.end_sample,
            language=utterance.language,
            words=carry_over(texts, utterance.words, within, utterance.voiced),
        )

    def go_on_from(self, other: "StreamingTranscriber") -> None:
        """Take the place of another transcriber of this track, which was flushed: counts go on where it stopped."""
        self._n_utterances = other._n_utterances
        self._heard_until = other._heard_until

    def close(self) -> None:
        """Called last, on the thread that made the transcriber."""
        if self._settling:
            self._settling.close()
        self._recogniser.close()

    @property
    def decoded_samples(self) -> int:
        """Sound up to here needs no more work."""
        return self._heard_until

    @property
    def due_until(self) -> int:
        """Sound up to here is decoded, or waits for a step that is not due; lag is counted from it."""
        waiting = self._sound.end_sample - self._heard_until
        return self._heard_until + min(waiting, self._step_length.samples)

    @property
    def step_seconds(self) -> float:
        """New sound that makes a step now."""
        return self._step_length.seconds

    @property
    def speaking(self) -> bool:
        return self._detector.speaking

    # ---- utterances

    def _begin_utterance(self, sample: int) -> None:
        """Speech begins: in the prompt's window if that is near and has room, else in a new one."""
        config = self._config
        hypothesis = self._hypothesis
        if (
            hypothesis is None
            or sample - self._recogniser.end_sample > config.samples(config.joined_pause_seconds)
            or self._recogniser.end_sample - self._recogniser.start_sample >= config.samples(config.restart_seconds)
        ):
            self._begin_window(sample)
        else:
            hypothesis.begin_utterance(sample)
        self._open_utterance(sample)

    def _begin_window(self, sample: int) -> None:
        self._recogniser.begin(sample)
        self._forget_sound(sample)
        self._hypothesis = Hypothesis(self._config, sample, self._text.starts_word, self._text.is_whole)
        self._header = ()

    def _open_utterance(self, sample: int, at_pause: bool = True) -> None:
        self._end_is_heard = False
        self._utterance = _Utterance(self._n_utterances, sample, at_pause)
        self._n_utterances += 1

    def _end_utterance(self) -> Iterator[TranscriptUpdate]:
        """Speech ended: all that is believed stays."""
        if self._utterance is None:
            return
        spans = self._detector.voiced_spans(self._utterance.start_sample, self._recogniser.end_sample)
        self._open_hypothesis.settle(sum(end - start for start, end in spans))
        yield self._close_utterance(self._recogniser.end_sample)
        self._utterance = None
        self._heard_until = self._recogniser.end_sample

    def _split_utterance(self) -> Iterator[TranscriptUpdate]:
        """Unbroken speech has become long: what is stable is closed, what is not goes on in the next utterance.

        Once it is long enough, where the stable text ends at a short pause; at last anywhere.
        """
        utterance, hypothesis, config = self._utterance, self._open_hypothesis, self._config
        assert utterance is not None
        length = self._recogniser.end_sample - utterance.start_sample
        if length < config.samples(config.split_seconds) or not hypothesis.stable_ids:
            return
        near = max(hypothesis.sample_at_frontier(), utterance.start_sample)
        pause = self._short_pause_near(near)
        if pause is None and length < config.samples(config.max_utterance_seconds):
            return
        cut_sample = max((pause[0] + pause[1]) // 2 if pause else near, utterance.start_sample)
        yield self._close_utterance(cut_sample, at_pause=pause is not None)
        self._open_utterance(cut_sample, at_pause=pause is not None)
        yield self._update()

    def _short_pause_near(self, sample: int) -> tuple[int, int] | None:
        """The longest pause within half a second of `sample`, if it parts words."""
        around, least = self._config.samples(0.5), self._config.samples(self._config.roll_pause_seconds)
        low, high = (
            max(sample - around, self._recogniser.start_sample),
            min(sample + around, self._recogniser.end_sample),
        )
        pause = self._detector.longest_pause(low, high) if low < high else None
        return pause if pause and pause[1] - pause[0] >= least else None

    def _close_utterance(self, end_sample: int, at_pause: bool = True) -> TranscriptUpdate:
        """The last update of the open utterance: its stable text is all of it.

        Only an utterance between pauses is settled: sound that is cut inside a word would lose or double it.
        """
        utterance, hypothesis = self._utterance, self._open_hypothesis
        assert utterance is not None
        ids, within = hypothesis.stable_ids, (utterance.start_sample, end_sample)
        voiced = tuple(self._detector.voiced_spans(*within))
        texts = self._text.words(ids)
        heard_by = [hypothesis.heard_by(n) for _, n in texts]
        words = place_words([text for text, _ in texts], heard_by, within, voiced)
        if self._settling and voiced and utterance.at_pause and at_pause:
            closed = ClosedUtterance(utterance.index, *within, tuple(ids), words, voiced, self.language)
            self._settling.add(closed)
        update = replace(self._update(final=True, end_sample=end_sample), words=words)
        hypothesis.close_utterance()
        return update

    def _forget_sound(self, before_sample: int) -> None:
        """Sound before `before_sample` leaves, but for what may still be asked for."""
        config = self._config
        joined = config.samples(config.joined_pause_seconds + config.preroll_seconds)
        needed = [before_sample - joined]
        if self._hypothesis is not None and before_sample - self._recogniser.end_sample <= joined:
            needed.append(self._recogniser.start_sample)  # speech may go on in this prompt, which may be cut anywhere
        if self._utterance is not None:
            needed.append(self._utterance.start_sample - config.samples(config.joined_pause_seconds))
        if self._settling and self._settling.needs_from is not None:
            needed.append(self._settling.needs_from)
        self._sound.forget(min(needed))

    # ---- decoding

    def _matters(self, event: SpeechEvent) -> bool:
        """True where a step should look at it at once. A brief pause only matters to a prompt that must soon roll."""
        if isinstance(event, SpeechPaused):
            return not event.brief or self._wants_pause
        return isinstance(event, SpeechEnded)

    @property
    def _wants_pause(self) -> bool:
        """The prompt will soon be cut at a pause, and none was heard yet where that is possible."""
        if self._utterance is None:
            return False
        config, recogniser = self._config, self._recogniser
        if self._sound.end_sample - recogniser.start_sample < config.samples(config.look_for_pause_seconds):
            return False
        earliest = recogniser.end_sample - config.samples(config.keep_context_seconds)
        return not any(sample >= earliest for _, sample in self._open_hypothesis.stable_pauses())

    @property
    def _is_due(self) -> bool:
        """Enough new sound has come, and somebody spoke in it."""
        if self._utterance is None:
            return False
        heard = self._recogniser.end_sample
        if self._end_is_heard and self._last_voiced_sample <= heard:
            return False
        return self._sound.end_sample - heard >= self._step_length.samples

    @property
    def _last_voiced_sample(self) -> int:
        return self._detector.last_voiced_sample or 0

    def _hear_the_end(self, end_sample: int) -> Iterator[TranscriptUpdate]:
        """Speech may end at `end_sample`: decode up to there as if nothing followed."""
        if self._utterance is None:
            return
        if self._end_is_heard and self._last_voiced_sample <= self._recogniser.end_sample:
            return
        stop = max(min(end_sample, self._sound.end_sample), self._recogniser.end_sample)
        yield from self._decode_until(stop, at_end=True)

    def _decode_until(self, end_sample: int, at_end: bool = False) -> Iterator[TranscriptUpdate]:
        """Decode new sound up to `end_sample`, in pieces that the context bound allows.

        Args:
            at_end: with silence behind it, even where no sound is new.
        """
        most = self._config.samples(self._config.max_step_seconds)
        while self._utterance is not None:
            stop = min(end_sample, self._recogniser.end_sample + most)
            is_last = at_end and stop == end_sample
            if stop == self._recogniser.end_sample and not is_last:
                return
            yield from self._bound_context(stop)
            self._recogniser.append(self._sound.between(self._recogniser.end_sample, stop))
            yield from self._decode(self._config.samples(self._config.pad_seconds) if is_last else 0)
            self._end_is_heard = is_last
            if is_last:
                return

    def _decode(self, pad_samples: int = 0) -> Iterator[TranscriptUpdate]:
        """One pass of the model over the prompt's window."""
        start = self._clock()
        hypothesis = self._open_hypothesis
        prefix, draft = hypothesis.prefix, hypothesis.partial_ids
        end_sample = self._recogniser.end_sample
        decoded = self._recogniser.decode(self._header, prefix, draft, self._budget(), pad_samples)
        self._header = decoded.header
        self.language = self._forced_language or self._named_language(decoded.header) or self.language
        if not decoded.complete:
            at = end_sample / SAMPLE_RATE
            self._on_notice(f"The model hit its token budget at {at:.0f} s; what follows is decoded in the next step.")
        runaway = hypothesis.revise(decoded.ids, decoded.margins, end_sample, decoded.complete, pad_samples > 0)
        self._count(decoded, len(draft), runaway)
        self._n_runaways = self._n_runaways + 1 if runaway else 0
        self._step_length.note(self._clock() - start)
        self._heard_until = end_sample
        yield self._update()
        yield from self._split_utterance()

    def _count(self, decoded: Decoded, n_drafted: int, runaway: bool) -> None:
        statistics = self.statistics
        statistics.n_steps += 1
        statistics.n_drafted += n_drafted
        statistics.n_accepted += decoded.n_accepted
        statistics.n_passes += decoded.n_passes
        statistics.n_runaways += runaway

    def _bound_context(self, end_sample: int) -> Iterator[TranscriptUpdate]:
        """In unbroken speech a new prompt begins in what is stable: at a short pause, or where the bound demands it.

        The sound behind the cut goes on into the new prompt, with its words as the prefix and the header as it was.
        """
        config, recogniser, hypothesis = self._config, self._recogniser, self._open_hypothesis
        if self._n_runaways >= config.most_runaways and self._n_runaways % config.most_runaways == 0:
            self._leave_loop()
        n_samples = end_sample - recogniser.start_sample
        if n_samples <= config.samples(config.roll_seconds):
            return
        earliest = recogniser.end_sample - config.samples(config.keep_context_seconds)
        latest = hypothesis.sample_at_frontier() - config.samples(config.spoken_margin_seconds)
        pauses = [pause for pause in hypothesis.stable_pauses() if pause[1] >= earliest]
        if pauses:
            # Of those with some text behind them the latest, or else the first.
            n_tokens, sample = next((p for p in reversed(pauses) if p[1] <= latest), pauses[0])
            self._cut_prompt(self._middle_of_pause(sample), n_tokens)
        elif n_samples > config.samples(config.max_context_seconds):
            yield from self._cut_somewhere(min(earliest, latest), latest)

    def _middle_of_pause(self, sample: int) -> int:
        """Of the pause that `sample` lies in or behind."""
        pause = self._short_pause_near(sample)
        return (pause[0] + pause[1]) // 2 if pause else sample

    def _cut_somewhere(self, earliest: int, latest: int) -> Iterator[TranscriptUpdate]:
        """No pause was heard, so the cut may be a word off. A prompt whose text does not advance begins anew."""
        config, recogniser = self._config, self._recogniser
        pause = self._detector.longest_pause(earliest, latest)
        sample = (pause[0] + pause[1]) // 2 if pause else latest
        left = recogniser.end_sample - sample
        if latest > recogniser.start_sample and left + config.samples(config.max_step_seconds) <= config.samples(
            config.max_context_seconds
        ):
            self._cut_prompt(sample)
            return
        here = recogniser.end_sample
        yield from self._end_utterance()
        self._begin_window(here)
        self._open_utterance(here)

    def _leave_loop(self) -> None:
        """A loop feeds on the text in its prompt: a new prompt begins, with the last words alone; then, without any."""
        config, hypothesis, start = self._config, self._open_hypothesis, self._recogniser.start_sample
        again = self._n_runaways > config.most_runaways
        near = hypothesis.sample_at_frontier() - (0 if again else config.samples(config.spoken_margin_seconds))
        near = min(max(near, start), self._recogniser.end_sample)
        self._cut_prompt(self._middle_of_pause(near), hypothesis.frontier if again else None)
        if again:
            self._header = ()

    def _cut_prompt(self, sample: int, n_tokens: int | None = None) -> None:
        """A new prompt begins at `sample`, with the sound and the stable text behind it.

        Args:
            n_tokens: of the ids, so many were said before; None guesses by the steps that heard them.
        """
        sound = self._sound.between(sample, self._recogniser.end_sample)
        self._recogniser.begin(sample)
        self._recogniser.append(sound)
        if n_tokens is None:
            self._open_hypothesis.forget(sample)
        else:
            self._open_hypothesis.forget_tokens(n_tokens)
        self._forget_sound(sample)

    def _budget(self) -> int:
        """The most tokens that can have been said since the frontier."""
        seconds = (self._recogniser.end_sample - self._open_hypothesis.sample_at_frontier()) / SAMPLE_RATE
        return round(self._config.tokens_per_second * max(seconds, 0)) + self._config.spare_tokens

    def _named_language(self, header: tuple[int, ...]) -> str | None:
        return header_language(self._tokenizer.decode(list(header)).partition(ASR_TEXT)[0]) or None

    @property
    def _open_hypothesis(self) -> Hypothesis:
        assert self._hypothesis is not None, "no window is open"
        return self._hypothesis

    def _update(self, final: bool = False, end_sample: int | None = None) -> TranscriptUpdate:
        utterance, hypothesis = self._utterance, self._open_hypothesis
        assert utterance is not None
        partial_ids = [] if final else hypothesis.partial_ids
        stable, partial = self._text.decode(hypothesis.stable_ids, partial_ids)
        assert stable.startswith(utterance.shown), "stable text changed"
        utterance.shown = stable
        return TranscriptUpdate(
            track=self._track,
            utterance=utterance.index,
            stable=stable,
            partial=partial,
            start_sample=utterance.start_sample,
            end_sample=self._recogniser.end_sample if end_sample is None else end_sample,
            language=self.language,
            final=final,
        )
