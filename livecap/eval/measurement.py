"""Recordings with references through modes of the stream: counts and samples of each, which add up over recordings."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from livecap.eval.alignment import distance
from livecap.eval.decode_counts import CountedRecogniser, DecodeCounts
from livecap.eval.emission import Emission, emissions, final_texts
from livecap.eval.latency import Samples, latencies
from livecap.eval.modes import Mode
from livecap.eval.reference import Reference
from livecap.eval.seam_errors import SeamErrors, seam_errors
from livecap.eval.stability import Stability, stability
from livecap.eval.timeline import Timeline, play
from livecap.eval.wer import normalise
from livecap.model.checkpoint.load import LoadedModel
from livecap.stream.recogniser import Recogniser
from livecap.stream.settling import Settling
from livecap.stream.transcriber import StreamingTranscriber


@dataclass(frozen=True, slots=True)
class Errors:
    """Edits against the reference, in words and in characters."""

    n_words: int = 0
    word_errors: int = 0
    n_characters: int = 0
    character_errors: int = 0

    def __add__(self, other: "Errors") -> "Errors":
        return Errors(
            self.n_words + other.n_words,
            self.word_errors + other.word_errors,
            self.n_characters + other.n_characters,
            self.character_errors + other.character_errors,
        )

    @property
    def wer(self) -> float:
        """Word errors over reference words."""
        return self.word_errors / max(self.n_words, 1)

    @property
    def cer(self) -> float:
        """Character errors over reference characters, spaces between words counted."""
        return self.character_errors / max(self.n_characters, 1)


@dataclass
class Measured:
    """One recording, or several together, in one mode."""

    recording: str
    mode: str
    sound_seconds: float
    errors: dict[str, Errors]
    """`offline`, `stable` (as committed live) and `final` (as exported: settled where that ran)."""
    latencies: dict[str, Samples]
    stability: Stability
    decodes: DecodeCounts
    step_seconds: list[float]
    lag_seconds: list[float]
    settle_seconds: float = 0.0
    """Compute of all settling passes."""
    n_skipped: int = 0
    """Recordings without word times, which have no latencies."""
    stable_text: str = ""
    seams: SeamErrors = field(default_factory=SeamErrors)
    seams_offline: SeamErrors = field(default_factory=SeamErrors)
    """The same words in the offline text, which has no seams there: how hard they are in any case."""
    words: list[Emission] = field(default_factory=list)


def errors(reference: str, heard: str) -> Errors:
    """Of one text, after the normaliser."""
    expected, said = normalise(reference), normalise(heard)
    expected_letters, said_letters = " ".join(expected), " ".join(said)
    return Errors(
        len(expected),
        distance(expected, said),
        len(expected_letters),
        distance(expected_letters, said_letters),
    )


def measure(
    loaded: LoadedModel, reference: Reference, mode: Mode, offline: str | None, step_cost: float | None = None
) -> Measured:
    """One recording in one mode. `offline` is its text by `offline.transcribe`, made once for all modes."""
    recogniser = CountedRecogniser(loaded, "", None, mode.config)
    settling = Settling(Recogniser(loaded, "", None, mode.config), mode.config)
    transcriber = StreamingTranscriber(recogniser, loaded.tokenizer, mode.config, settling=settling)
    timeline = play(transcriber, reference.samples, step_cost)
    offline_errors = None if offline is None else errors(reference.text, offline)
    measured = assess(reference, timeline, mode.name, recogniser.counts, offline_errors)
    measured.seams = seam_errors(reference, measured.stable_text, recogniser.seams)
    if offline is not None:
        measured.seams_offline = seam_errors(reference, offline, recogniser.seams)
    return measured


def assess(
    reference: Reference, timeline: Timeline, mode: str, decodes: DecodeCounts, offline: Errors | None
) -> Measured:
    """The figures of a timeline."""
    words = emissions(timeline, reference)
    texts = final_texts(timeline.moments)
    settled = texts | {item.utterance: item.text for item in timeline.settled}
    stable_text = " ".join(texts[u] for u in sorted(texts))
    final_text = " ".join(settled[u] for u in sorted(settled))
    measured = {"stable": errors(reference.text, stable_text), "final": errors(reference.text, final_text)}
    return Measured(
        recording=reference.name,
        mode=mode,
        sound_seconds=timeline.sound_seconds,
        errors=({"offline": offline} if offline else {}) | measured,
        latencies=latencies(timeline, reference, words) if reference.words else {},
        stability=stability(timeline),
        decodes=decodes,
        step_seconds=timeline.step_seconds,
        lag_seconds=timeline.lag_seconds,
        settle_seconds=sum(timeline.settle_seconds),
        n_skipped=0 if reference.words else 1,
        stable_text=stable_text,
        words=words,
    )


def total(parts: Sequence[Measured]) -> Measured:
    """All recordings of one mode as one."""
    first = parts[0]
    names = dict.fromkeys(name for part in parts for name in part.errors)
    out = Measured(
        recording="all",
        mode=first.mode,
        sound_seconds=sum(part.sound_seconds for part in parts),
        errors={name: sum((part.errors[name] for part in parts if name in part.errors), Errors()) for name in names},
        latencies={},
        stability=sum((part.stability for part in parts[1:]), first.stability),
        decodes=DecodeCounts(),
        step_seconds=[seconds for part in parts for seconds in part.step_seconds],
        lag_seconds=[seconds for part in parts for seconds in part.lag_seconds],
        settle_seconds=sum(part.settle_seconds for part in parts),
        n_skipped=sum(part.n_skipped for part in parts),
        seams=sum((part.seams for part in parts), SeamErrors()),
        seams_offline=sum((part.seams_offline for part in parts), SeamErrors()),
    )
    for part in parts:
        out.decodes.add(part.decodes)
        for name, samples in part.latencies.items():
            out.latencies.setdefault(name, Samples()).extend(samples)
    return out
