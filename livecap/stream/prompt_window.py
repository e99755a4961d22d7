"""PromptWindow: the sound and text of one prompt, and how a new prompt takes over before it is full.

    |<------------- at most 30 s of sound ------------->|
    [ text of earlier utterances | stable text | partial ]

In unbroken speech the prompt rolls: a new one begins inside the stable text, at a pause that a step ended in. There it
is certain which words come before and after, so that no word is lost or repeated. The sound after the cut goes into the
new prompt, with exactly its words as the prefix and the same language header.
"""

from livecap.audio_in.vad import SpeechDetector
from livecap.stream.config import StreamConfig, samples_in
from livecap.stream.hypothesis import Hypothesis
from livecap.stream.loud_sound import LoudSound
from livecap.stream.recent_sound import RecentSound
from livecap.stream.recogniser import Decoded, Recogniser
from livecap.stream.statistics import StepStatistics
from livecap.stream.token_text import TokenText
from livecap.transcript import SAMPLE_RATE

PAUSE_SECONDS = 0.06
"""A step ends in a pause if this much sound before its end is quiet."""

UNHEARD_SECONDS = 1.0
"""An utterance with this much speech and not a single word is decoded again."""


class PromptWindow:
    """The open prompt. One at a time; decode thread only."""

    def __init__(
        self,
        recogniser: Recogniser,
        text: TokenText,
        config: StreamConfig,
        sound: RecentSound,
        loud: LoudSound,
        detector: SpeechDetector,
    ) -> None:
        """
        Args:
            sound: the sound to decode; keeps all samples from `start_sample` on.
        """
        self._recogniser = recogniser
        self._text = text
        self._config = config
        self._sound = sound
        self._loud = loud
        self._hypothesis: Hypothesis | None = None
        self._n_runaways = 0
        """Runaway steps in a row."""
        self.detector = detector
        self.header: tuple[int, ...] = ()
        """`language X<asr_text>` of this prompt, empty until it is known."""
        self.statistics = StepStatistics()

    @property
    def is_open(self) -> bool:
        """False before the first `begin`."""
        return self._hypothesis is not None

    @property
    def hypothesis(self) -> Hypothesis:
        """The believed text of the prompt."""
        assert self._hypothesis is not None, "no window is open"
        return self._hypothesis

    @property
    def start_sample(self) -> int:
        return self._recogniser.start_sample

    @property
    def end_sample(self) -> int:
        """The end of the sound that was decoded."""
        return self._recogniser.end_sample

    def begin(self, sample: int) -> None:
        """Start a new prompt without text, whose sound begins at `sample`."""
        self._begin_sound(sample)
        self._hypothesis = Hypothesis(self._config, sample, self._text.starts_word, self._text.is_whole)
        self.header = ()

    def decode(self, end_sample: int, at_end: bool) -> Decoded:
        """Decode all sound up to `end_sample` with one pass of the model, and update the hypothesis.

        Args:
            at_end: speech may end there, so silence is added after it.
        """
        recogniser, hypothesis = self._recogniser, self.hypothesis
        recogniser.append(self._sound.between(recogniser.end_sample, end_sample))
        draft = hypothesis.partial_ids
        pad_samples = samples_in(self._config.utterance.pad_seconds) if at_end else 0
        n_drafted = len(draft) + (0 if hypothesis.prefix else len(self.header))
        decoded = recogniser.decode(self.header, hypothesis.prefix, draft, self._budget(), pad_samples)
        if decoded.header != self.header:
            hypothesis.forget_partial()  # in another language, text becomes stable only when two steps have repeated it
        self.header = decoded.header
        at_pause = at_end and not self._loud.voice_share(end_sample - samples_in(PAUSE_SECONDS), end_sample)
        runaway = hypothesis.revise(decoded.tokens, end_sample, decoded.complete, at_pause)
        self._n_runaways = self._n_runaways + 1 if runaway else 0
        self.statistics += StepStatistics(
            1, n_drafted, decoded.n_accepted, decoded.n_passes, int(runaway), seconds=decoded.seconds
        )
        return decoded

    def is_misled(self, start_sample: int) -> bool:
        """True if the text before the open utterance misleads the model: it goes on with the previous one's last word,
        though a pause cannot lie inside a word, or it ends its text there, though somebody speaks.

        Args:
            start_sample: where the utterance begins.
        """
        hypothesis = self.hypothesis
        if hypothesis.frontier != hypothesis.utterance_start or not hypothesis.prefix:
            return False
        if hypothesis.partial_ids:
            return not self._text.starts_word(hypothesis.partial_ids[0])
        spans = self.detector.voiced_spans(start_sample, self.end_sample)
        return sum(end - start for start, end in spans) >= samples_in(UNHEARD_SECONDS)

    def wants_pause(self, quiet_samples: int) -> bool:
        """True if a step should end at a pause of this length, because the prompt will soon roll at one."""
        config = self._config.prompt
        n_samples = self._sound.end_sample - self.start_sample
        late = n_samples >= samples_in(config.roll_seconds)
        least_seconds = config.forced_pause_seconds if late else config.roll_pause_seconds
        if n_samples < samples_in(config.look_for_pause_seconds) or quiet_samples < samples_in(least_seconds):
            return False
        earliest = self.end_sample - samples_in(config.keep_context_seconds)
        return not any(sample >= earliest for _, sample in self.hypothesis.stable_pauses())

    def prepare_for(self, end_sample: int) -> bool:
        """Before sound up to `end_sample` is decoded: roll if the prompt would become too long, or leave a loop.

        Returns:
            False if the sound does not fit, because the text does not advance with it.
        """
        config, hypothesis = self._config.prompt, self.hypothesis
        if self._n_runaways and self._n_runaways % self._config.loops.most_runaways == 0:
            self._leave_loop()
        n_samples = end_sample - self.start_sample
        if n_samples <= samples_in(config.roll_seconds):
            return True
        earliest = self.end_sample - samples_in(config.keep_context_seconds)
        latest = hypothesis.sample_at_frontier() - samples_in(config.spoken_margin_seconds)
        bound = n_samples > samples_in(config.max_context_seconds)
        most_left = samples_in(config.max_context_seconds - config.spoken_margin_seconds)
        oldest = end_sample - most_left if bound else earliest
        pauses = [pause for pause in hypothesis.stable_pauses() if pause[1] >= oldest]
        if pauses:
            # The latest pause that leaves some text after it, or else the first one.
            n_tokens, sample = next((p for p in reversed(pauses) if p[1] <= latest), pauses[0])
            self._cut(self.middle_of_silence(sample), n_tokens)
            return True
        if not bound:
            return True
        return self._cut_somewhere(min(earliest, latest), latest)

    def middle_of_silence(self, sample: int) -> int:
        """The middle between the last voiced sound before `sample` and the first after it."""
        around = max(sample - SAMPLE_RATE, self.start_sample), sample + SAMPLE_RATE
        spans = [*self.detector.voiced_spans(*around), *self._loud.spans(*around)]
        before = max((end for _, end in spans if end <= sample), default=sample)
        behind = min((start for start, end in spans if end > sample), default=sample)
        return min((before + behind) // 2 if before <= behind else sample, self.end_sample)

    def close(self) -> None:
        """Release the recogniser. Decode thread only."""
        self._recogniser.close()

    def _middle_of_pause(self, sample: int) -> int:
        """The middle of the longest pause near `sample`, or `sample` itself if none separates words."""
        around, least = SAMPLE_RATE // 2, samples_in(self._config.prompt.roll_pause_seconds)
        low, high = max(sample - around, self.start_sample), min(sample + around, self.end_sample)
        pause = self.detector.longest_pause(low, high) if low < high else None
        separates = pause and pause[1] - pause[0] >= least and self._loud.voice_share(*pause) < 0.5
        return (pause[0] + pause[1]) // 2 if pause and separates else sample

    def _cut_somewhere(self, earliest: int, latest: int) -> bool:
        """Roll although no step ended in a pause: the cut may be off by a word. False if too much would remain."""
        pause = self.detector.longest_pause(earliest, latest)
        sample = (pause[0] + pause[1]) // 2 if pause else latest
        most_left = samples_in(self._config.prompt.max_context_seconds - self._config.prompt.max_new_seconds)
        if latest <= self.start_sample or self.end_sample - sample > most_left:
            return False
        self._cut(sample)
        return True

    def _leave_loop(self) -> None:
        """Begin a new prompt, because the text in this one feeds a loop: first with the last words, then with none."""
        again = self._n_runaways > self._config.loops.most_runaways
        margin = 0 if again else samples_in(self._config.prompt.spoken_margin_seconds)
        near = min(max(self.hypothesis.sample_at_frontier() - margin, self.start_sample), self.end_sample)
        self._cut(self._middle_of_pause(near), self.hypothesis.frontier if again else None)
        if again:
            self.header = ()

    def _cut(self, sample: int, n_tokens: int | None = None) -> None:
        """Begin a new prompt at `sample`, with the sound and the stable text after it.

        Args:
            n_tokens: the number of ids that were said before `sample`; None estimates it from the steps.
        """
        sound = self._sound.between(sample, self.end_sample)
        self._begin_sound(sample)
        self._recogniser.append(sound)
        if n_tokens is None:
            self.hypothesis.forget(sample)
        else:
            self.hypothesis.forget_tokens(n_tokens)
        self.statistics += StepStatistics(n_rolls=1)

    def _begin_sound(self, sample: int) -> None:
        """Start a prompt of the recogniser, and note a seam where it overlaps the previous one."""
        if self.is_open and sample <= self.end_sample:
            self.statistics += StepStatistics(seams=[sample])
        self._recogniser.begin(sample)

    def _budget(self) -> int:
        """The most tokens that can have been said since the frontier."""
        return self._config.loops.token_budget(self.end_sample - self.hypothesis.sample_at_frontier())
