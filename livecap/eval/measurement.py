"""Measurement: one recording through one mode of the stream, as counts and samples that add up over recordings."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from livecap.engine import Recognises
from livecap.eval.after_speech import AfterSpeech, after_speech
from livecap.eval.emission import Emission, emissions, final_texts
from livecap.eval.latency import Latencies, latencies
from livecap.eval.modes import Mode
from livecap.eval.reference import Reference
from livecap.eval.seam_errors import SeamErrors, seam_errors
from livecap.eval.stability import Stability, stability
from livecap.eval.timeline import Timeline, play
from livecap.eval.wer import ErrorCounts, count_errors, errors_by_word
from livecap.stream.statistics import StepStatistics
from livecap.text.scripts import joined


@dataclass
class Measurement:
    """One recording in one mode, or several recordings added up."""

    recording: str
    mode: str
    sound_seconds: float
    errors: dict[str, ErrorCounts]
    """`offline`, `stable` (as committed live) and `final` (as exported: settled where the second pass ran)."""
    latencies: dict[str, Latencies]
    stability: Stability
    decodes: StepStatistics
    step_seconds: list[float]
    lag_seconds: list[float]
    settle_seconds: float = 0.0
    """Compute time of all settling passes."""
    stable_text: str = ""
    errors_by_word: dict[str, list[int]] = field(default_factory=dict)
    """As `errors`, at each word of the reference; empty without an offline text, and for several recordings."""
    seams: SeamErrors = field(default_factory=SeamErrors)
    seams_offline: SeamErrors = field(default_factory=SeamErrors)
    """Errors of the same words in the offline text, which has no seams there: how hard they are anyway."""
    words: list[Emission] = field(default_factory=list)
    after_speech: dict[str, AfterSpeech] = field(default_factory=dict)
    """`first` and `final` text after the end of speech; empty without word times."""


def measure(
    engine: Recognises, reference: Reference, mode: Mode, offline: str | None, step_cost: float | None = None
) -> Measurement:
    """Run one recording through one mode, which the engine keeps.

    Args:
        offline: the recording's text by `transcribe`, made once for all modes.
        step_cost: seconds that a step is assumed to cost; None measures the cost.
    """
    engine.change(replace(engine.settings, stream=mode.config))
    transcriber = engine.transcriber()
    timeline, decodes = play(transcriber, reference.samples, step_cost), transcriber.statistics
    offline_errors = None if offline is None else count_errors(reference.text, offline)
    measurement = assess(reference, timeline, mode.name, decodes, offline_errors)
    measurement.seams = seam_errors(reference, measurement.stable_text, decodes.seams)
    if offline is not None:
        spoken, (_, settled) = [word.text for word in reference.words], texts_of(timeline)
        texts = {"offline": offline, "stable": measurement.stable_text, "final": settled}
        measurement.errors_by_word = {name: errors_by_word(spoken, text) for name, text in texts.items()}
        measurement.seams_offline = seam_errors(reference, offline, decodes.seams)
    return measurement


def texts_of(timeline: Timeline) -> tuple[str, str]:
    """(the text as committed live, the text as exported: settled where the second pass ran)."""
    texts = final_texts(timeline.moments)
    settled = texts | {item.utterance: item.text for item in timeline.settled}
    return joined(texts[u] for u in sorted(texts)), joined(settled[u] for u in sorted(settled))


def assess(
    reference: Reference, timeline: Timeline, mode: str, decodes: StepStatistics, offline: ErrorCounts | None
) -> Measurement:
    """The measurement of a timeline, without its seams."""
    words = emissions(timeline, reference)
    stable_text, final_text = texts_of(timeline)
    live = {"stable": count_errors(reference.text, stable_text), "final": count_errors(reference.text, final_text)}
    return Measurement(
        recording=reference.name,
        mode=mode,
        sound_seconds=timeline.sound_seconds,
        errors=({"offline": offline} if offline else {}) | live,
        latencies=latencies(timeline, reference, words) if reference.words else {},
        stability=stability(timeline),
        decodes=decodes,
        step_seconds=timeline.step_seconds,
        lag_seconds=timeline.lag_seconds,
        settle_seconds=sum(timeline.settle_seconds),
        stable_text=stable_text,
        words=words,
        after_speech=after_speech(timeline, reference) if reference.words else {},
    )


def total(parts: Sequence[Measurement]) -> Measurement:
    """All recordings of one mode, added up."""
    error_names = dict.fromkeys(name for part in parts for name in part.errors)
    after_names = dict.fromkeys(name for part in parts for name in part.after_speech)
    latency_names = dict.fromkeys(name for part in parts for name in part.latencies)
    return Measurement(
        recording="all",
        mode=parts[0].mode,
        sound_seconds=sum(part.sound_seconds for part in parts),
        errors={name: sum((p.errors[name] for p in parts if name in p.errors), ErrorCounts()) for name in error_names},
        latencies={
            name: sum((p.latencies[name] for p in parts if name in p.latencies), Latencies()) for name in latency_names
        },
        stability=sum((part.stability for part in parts), Stability()),
        decodes=sum((part.decodes for part in parts), StepStatistics()),
        step_seconds=[seconds for part in parts for seconds in part.step_seconds],
        lag_seconds=[seconds for part in parts for seconds in part.lag_seconds],
        settle_seconds=sum(part.settle_seconds for part in parts),
        seams=sum((part.seams for part in parts), SeamErrors()),
        seams_offline=sum((part.seams_offline for part in parts), SeamErrors()),
        after_speech={
            name: sum((p.after_speech[name] for p in parts if name in p.after_speech), AfterSpeech())
            for name in after_names
        },
    )
