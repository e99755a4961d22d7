"""PromptWindow: the sound and the text of one prompt, and how it makes room for more.

    |<------------- at most 30 s of sound ------------->|
    [ text of earlier utterances | stable text | decided anew ]

In unbroken speech a new prompt begins in what is stable, at a pause that a step ended in: there it is certain which
words were said before and which behind, so none is lost and none said twice. The sound behind the cut goes on into the
new prompt with just its words as the prefix, and the language header stays.
"""

from dataclasses import dataclass, field

from livecap.audio_in.vad import SpeechDetector
from livecap.stream.config import StreamConfig, samples_in
from livecap.stream.hypothesis import Hypothesis
from livecap.stream.recent_sound import RecentSound
from livecap.stream.recogniser import Decoded, Recogniser, StageSeconds
from livecap.stream.token_text import TokenText
from livecap.transcript import SAMPLE_RATE


@dataclass(slots=True)
class StepStatistics:
    """What the steps so far did."""

    n_steps: int = 0
    n_drafted: int = 0
    """Tokens offered as a draft."""
    n_accepted: int = 0
    """Of those, the tokens that the model said again."""
    n_passes: int = 0
    """Sequential passes that generated one token each."""
    n_runaways: int = 0
    """Steps whose text was more than can have been said."""
    n_rolls: int = 0
    """Prompts that went on as another one in unbroken speech."""
    seconds: StageSeconds = field(default_factory=StageSeconds)
    """Where the time went."""


class PromptWindow:
    """One prompt at a time."""

    def __init__(
        self,
        recogniser: Recogniser,
        text: TokenText,
        config: StreamConfig,
        sound: RecentSound,
        detector: SpeechDetector,
    ) -> None:
        """
        Args:
            sound: what may be heard; keeps all from `start_sample` on.
        """
        self._recogniser = recogniser
        self._text = text
        self._config = config
        self._sound = sound
        self._hypothesis: Hypothesis | None = None
        self._n_runaways = 0
        """In a row."""
        self.detector = detector
        self.header: tuple[int, ...] = ()
        """`language X<asr_text>` of this prompt, as far as it is known."""
        self.statistics = StepStatistics()

    @property
    def is_open(self) -> bool:
        """False before the first `begin`."""
        return self._hypothesis is not None

    @property
    def hypothesis(self) -> Hypothesis:
        """What is believed to have been said."""
        assert self._hypothesis is not None, "no window is open"
        return self._hypothesis

    @property
    def start_sample(self) -> int:
        return self._recogniser.start_sample

    @property
    def end_sample(self) -> int:
        """Sound that was heard."""
        return self._recogniser.end_sample

    def begin(self, sample: int) -> None:
        """A new prompt without text, whose sound begins here."""
        self._recogniser.begin(sample)
        self._hypothesis = Hypothesis(self._config, sample, self._text.starts_word, self._text.is_whole)
        self.header = ()

    def decode(self, end_sample: int, at_end: bool) -> Decoded:
        """One pass of the model over all sound up to `end_sample`, and what is believed after it.

        Args:
            at_end: nobody speaks there: with silence behind it.
        """
        recogniser, hypothesis = self._recogniser, self.hypothesis
        recogniser.append(self._sound.between(recogniser.end_sample, end_sample))
        draft = hypothesis.partial_ids
        pad_samples = samples_in(self._config.utterance.pad_seconds) if at_end else 0
        decoded = recogniser.decode(self.header, hypothesis.prefix, draft, self._budget(), pad_samples)
        if decoded.header != self.header:
            hypothesis.forget_partial()  # another language: its text has to be heard twice of its own
        self.header = decoded.header
        runaway = hypothesis.revise(decoded.tokens, end_sample, decoded.complete, at_end)
        self._n_runaways = self._n_runaways + 1 if runaway else 0
        statistics = self.statistics
        statistics.n_steps += 1
        statistics.n_drafted += len(draft)
        statistics.n_accepted += decoded.n_accepted
        statistics.n_passes += decoded.n_passes
        statistics.n_runaways += runaway
        statistics.seconds += decoded.seconds
        return decoded

    def splits_word(self) -> bool:
        """True where the open utterance begins with the rest of the last one's last word: a pause cannot lie there."""
        hypothesis = self.hypothesis
        begins = hypothesis.frontier == hypothesis.utterance_start and bool(hypothesis.prefix)
        return begins and bool(hypothesis.partial_ids) and not self._text.starts_word(hypothesis.partial_ids[0])

    def wants_pause(self, quiet_samples: int) -> bool:
        """True where a pause of this length should be heard as one, since the prompt will soon be cut at a pause."""
        config = self._config
        n_samples = self._sound.end_sample - self.start_sample
        late = n_samples >= samples_in(config.prompt.roll_seconds)
        least_seconds = config.prompt.forced_pause_seconds if late else config.prompt.roll_pause_seconds
        if n_samples < samples_in(config.prompt.look_for_pause_seconds) or quiet_samples < samples_in(least_seconds):
            return False
        earliest = self.end_sample - samples_in(config.prompt.keep_context_seconds)
        return not any(sample >= earliest for _, sample in self.hypothesis.stable_pauses())

    def make_room(self, end_sample: int) -> bool:
        """Before sound up to `end_sample` is heard: go on in a new prompt where this one is too long, or loops.

        Returns:
            False where there can be no room, since the text does not advance with the sound.
        """
        config, hypothesis = self._config, self.hypothesis
        if self._n_runaways and self._n_runaways % config.loops.most_runaways == 0:
            self._leave_loop()
        n_samples = end_sample - self.start_sample
        if n_samples <= samples_in(config.prompt.roll_seconds):
            return True
        earliest = self.end_sample - samples_in(config.prompt.keep_context_seconds)
        latest = hypothesis.sample_at_frontier() - samples_in(config.prompt.spoken_margin_seconds)
        bound = n_samples > samples_in(config.prompt.max_context_seconds)
        most_left = samples_in(config.prompt.max_context_seconds - config.prompt.spoken_margin_seconds)
        oldest = end_sample - most_left if bound else earliest
        pauses = [pause for pause in hypothesis.stable_pauses() if pause[1] >= oldest]
        if pauses:
            # Of those with some text behind them the latest, or else the first.
            n_tokens, sample = next((p for p in reversed(pauses) if p[1] <= latest), pauses[0])
            self._cut(self._middle_of_silence(sample), n_tokens)
            return True
        if not bound:
            return True
        return self._cut_somewhere(min(earliest, latest), latest)

    def short_pause_near(self, sample: int) -> tuple[int, int] | None:
        """The longest pause within half a second of `sample`, if it parts words."""
        around, least = SAMPLE_RATE // 2, samples_in(self._config.prompt.roll_pause_seconds)
        low, high = max(sample - around, self.start_sample), min(sample + around, self.end_sample)
        pause = self.detector.longest_pause(low, high) if low < high else None
        return pause if pause and pause[1] - pause[0] >= least else None

    def close(self) -> None:
        """On the thread that made the recogniser."""
        self._recogniser.close()

    def _middle_of_silence(self, sample: int) -> int:
        """Of the silence that `sample` lies in: between the last voiced sound before it and the first behind it."""
        spans = self.detector.voiced_spans(max(sample - SAMPLE_RATE, self.start_sample), sample + SAMPLE_RATE)
        before = max((end for _, end in spans if end <= sample), default=sample)
        behind = min((start for start, _ in spans if start >= sample), default=sample)
        return min((before + behind) // 2, self.end_sample)

    def _middle_of_pause(self, sample: int) -> int:
        """Of a pause near `sample`, or just there."""
        pause = self.short_pause_near(sample)
        return (pause[0] + pause[1]) // 2 if pause else sample

    def _cut_somewhere(self, earliest: int, latest: int) -> bool:
        """No pause was heard, so the cut may be a word off."""
        pause = self.detector.longest_pause(earliest, latest)
        sample = (pause[0] + pause[1]) // 2 if pause else latest
        most_left = samples_in(self._config.prompt.max_context_seconds - self._config.prompt.max_new_seconds)
        if latest <= self.start_sample or self.end_sample - sample > most_left:
            return False
        self._cut(sample)
        return True

    def _leave_loop(self) -> None:
        """A loop feeds on the text in its prompt: a new prompt begins, with the last words alone; then, without any."""
        again = self._n_runaways > self._config.loops.most_runaways
        margin = 0 if again else samples_in(self._config.prompt.spoken_margin_seconds)
        near = min(max(self.hypothesis.sample_at_frontier() - margin, self.start_sample), self.end_sample)
        self._cut(self._middle_of_pause(near), self.hypothesis.frontier if again else None)
        if again:
            self.header = ()

    def _cut(self, sample: int, n_tokens: int | None = None) -> None:
        """A new prompt begins at `sample`, with the sound and the stable text behind it.

        Args:
            n_tokens: of the ids, so many were said before; None guesses by the steps that heard them.
        """
        sound = self._sound.between(sample, self.end_sample)
        self._recogniser.begin(sample)
        self._recogniser.append(sound)
        if n_tokens is None:
            self.hypothesis.forget(sample)
        else:
            self.hypothesis.forget_tokens(n_tokens)
        self.statistics.n_rolls += 1

    def _budget(self) -> int:
        """The most tokens that can have been said since the frontier."""
        return self._config.loops.token_budget(self.end_sample - self.hypothesis.sample_at_frontier())
