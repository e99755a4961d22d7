"""The text of a recording: segments with their times, and how they were made."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from livecap.stream.statistics import Counts
from livecap.text.scripts import joined
from livecap.transcript import SAMPLE_RATE, Word

STOP, LENGTH, REPETITION = "stop", "length", "repetition"
"""Why a text ended: the model ended it; it was cut off at the most tokens; it repeated itself, and is cut there."""


@dataclass(frozen=True, slots=True)
class Segment:
    """The text of one piece of a recording."""

    text: str
    start_sample: int
    """Where its first word begins, at 16 kHz from the start of the recording."""
    end_sample: int
    language: str | None
    """The forced language, or the one that the model named; None if it named none."""
    words: tuple[Word, ...]
    """Its words in order, with their times by the model's attention, else a division of the voiced sound ("step")."""
    finish_reason: str
    """`STOP`, `LENGTH` or `REPETITION`."""
    n_tokens: int = 0
    margin: float = 0.0
    """How sure the model was: the lead of a token's logit over the second best, on average."""
    speaker: str = ""
    """Letter or name of who speaks, where speakers were labelled and there are several; else ""."""
    n_accepted: int = 0
    """Tokens that were in a draft of the text, and needed no pass of their own."""
    logprobs: tuple[tuple[bytes, float], ...] = ()
    """Bytes of each token and the natural logarithm of its probability, where that was asked for."""

    @property
    def start_seconds(self) -> float:
        return self.start_sample / SAMPLE_RATE

    @property
    def end_seconds(self) -> float:
        return self.end_sample / SAMPLE_RATE


@dataclass(frozen=True, slots=True)
class Timings(Counts):
    """Where the time went, in seconds, and how much was done."""

    read_seconds: float = 0.0
    """Reading the file, resampling, and finding speech in it."""
    encoder_seconds: float = 0.0
    prefill_and_generate_seconds: float = 0.0
    sound_seconds: float = 0.0
    """Length of the recording."""
    n_pieces: int = 0
    n_tokens: int = 0
    draft_seconds: float = 0.0
    """A smaller model's drafts of the text."""
    n_accepted: int = 0
    """Tokens that were in a draft, and needed no pass of their own."""

    @property
    def total_seconds(self) -> float:
        return self.read_seconds + self.encoder_seconds + self.prefill_and_generate_seconds + self.draft_seconds

    @property
    def tokens_per_second(self) -> float:
        """Tokens generated per second of decoding, the prompts included."""
        return self.n_tokens / max(self.prefill_and_generate_seconds, 1e-9)

    @property
    def real_time_factor(self) -> float:
        """Compute time per second of sound: 0.1 is ten times faster than real time."""
        return self.total_seconds / max(self.sound_seconds, 1e-9)


@dataclass(frozen=True, slots=True)
class Transcription:
    """The text of one recording."""

    text: str
    """The texts of all segments, joined with the spacing of their script."""
    duration_seconds: float
    language: str | None = None
    """The language of most of the text; None if there is no text or the model named none."""
    segments: tuple[Segment, ...] = ()
    finish_reason: str = STOP
    """`STOP` if the model ended every segment itself, else what happened to the first that it did not end."""
    timings: Timings = field(default_factory=Timings, compare=False)
    notices: tuple[str, ...] = ()
    """What is wrong with the recording, such as that it is cut short."""

    @property
    def speakers(self) -> tuple[str, ...]:
        """Letters and names of the speakers, in the order in which they are heard; empty if they are not labelled."""
        return tuple(dict.fromkeys(segment.speaker for segment in self.segments if segment.speaker))

    @property
    def words(self) -> tuple[Word, ...]:
        """The words of all segments."""
        return tuple(word for segment in self.segments for word in segment.words)

    @property
    def truncated(self) -> bool:
        """True if text was cut off at the most tokens."""
        return any(segment.finish_reason == LENGTH for segment in self.segments)

    @property
    def duration(self) -> float:
        """The same as `duration_seconds`."""
        return self.duration_seconds


def one_segment(parts: Sequence[Segment]) -> Segment | None:
    """The text of a piece that was decoded in parts, which are in order; None without any."""
    if len(parts) < 2:
        return parts[0] if parts else None
    n_tokens = sum(part.n_tokens for part in parts)
    return replace(
        parts[0],
        text=joined(part.text for part in parts),
        end_sample=parts[-1].end_sample,
        language=max(parts, key=lambda part: len(part.text)).language,
        words=tuple(word for part in parts for word in part.words),
        finish_reason=_finish_reason(parts),
        n_tokens=n_tokens,
        margin=sum(part.margin * part.n_tokens for part in parts) / max(n_tokens, 1),
        n_accepted=sum(part.n_accepted for part in parts),
        logprobs=tuple(each for part in parts for each in part.logprobs),
    )


def _finish_reason(segments: Sequence[Segment]) -> str:
    return next((each.finish_reason for each in segments if each.finish_reason != STOP), STOP)


def assembled(segments: Sequence[Segment], duration_seconds: float, timings: Timings) -> Transcription:
    """The transcription of these segments, which are in order."""
    spoken: Counter[str] = Counter()
    for segment in segments:
        if segment.language:
            spoken[segment.language] += len(segment.text)
    return Transcription(
        text=joined(segment.text for segment in segments),
        duration_seconds=duration_seconds,
        language=spoken.most_common(1)[0][0] if spoken else None,
        segments=tuple(segments),
        finish_reason=_finish_reason(segments),
        timings=timings,
    )
