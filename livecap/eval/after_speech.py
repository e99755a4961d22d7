"""Text after the end of speech: how late it is, and how wrong, as the benchmark AA-WER Streaming of Artificial Analysis
(June 2026) defines it.

An early text may be wrong and a right one late: neither number says much alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from livecap.eval.emission import final_texts
from livecap.eval.latency import Latencies, begun_in
from livecap.eval.reference import Reference
from livecap.eval.timeline import Moment, Timeline
from livecap.eval.wer import ErrorCounts, count_errors, normalise
from livecap.stream.statistics import Counts
from livecap.text.scripts import joined
from livecap.transcript import SAMPLE_RATE


@dataclass(frozen=True, slots=True)
class AfterSpeech(Counts):
    """Text after stretches of speech: how late, and how wrong."""

    latencies: Latencies = Latencies()
    errors: ErrorCounts = ErrorCounts()
    """Errors in the text of the stretches that have a latency."""


def after_speech(timeline: Timeline, reference: Reference) -> dict[str, AfterSpeech]:
    """`first`, the first text after the end of each stretch, and `final`, the first text after it that closes an
    utterance."""
    return {
        "first": _after(timeline.moments, reference, final=False),
        "final": _after(timeline.moments, reference, final=True),
    }


def _after(moments: Sequence[Moment], reference: Reference, final: bool) -> AfterSpeech:
    texts = final_texts(moments)
    found: list[tuple[int, Moment]] = []
    errors = ErrorCounts()
    stretches = reference.stretches
    for (start, end), following in zip(stretches, [*stretches[1:], None], strict=True):
        next_start = following[0] if following else len(reference.samples) + 1
        moment = next(
            (
                m
                for m in begun_in(moments, start, end)
                if end <= m.heard_seconds * SAMPLE_RATE < next_start
                and normalise(m.update.text)
                and (m.update.final or not final)
            ),
            None,
        )
        if moment is None:
            continue
        found.append((end, moment))
        utterances = sorted({m.update.utterance for m in begun_in(moments, start, end)})
        before = [texts[u] for u in utterances if u < moment.update.utterance]
        spoken = " ".join(word.text for word in reference.words if start <= word.start_sample < end)
        errors += count_errors(spoken, joined([*before, moment.update.text]))
    between = Latencies.between(found)
    missed = len(stretches) - len(found)
    return AfterSpeech(Latencies(between.unaware, between.aware, missed), errors)
