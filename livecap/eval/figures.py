"""The figures of `livecap eval` as plain values, from a measurement. `figure_definitions.py` defines each of them."""

import random
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import numpy as np

from livecap.eval.measurement import Measurement
from livecap.eval.seam_errors import SeamErrors

PERCENTILES = (50, 95, 99)
RESAMPLES = 2000
PIECE_WORDS = 20
"""Errors come in groups: neighbours are drawn together."""

T = TypeVar("T")


def figures(measurement: Measurement) -> dict[str, Any]:
    """One measurement as plain values, for JSON and the table."""
    stability, decodes = measurement.stability, measurement.decodes
    steps = np.array(measurement.step_seconds or [0.0])
    lags = np.array(measurement.lag_seconds or [0.0])
    return {
        "recording": measurement.recording,
        "mode": measurement.mode,
        "sound_seconds": round(measurement.sound_seconds, 1),
        "words": measurement.errors["stable"].n_words,
        "wer": {name: round(errors.wer, 4) for name, errors in measurement.errors.items()},
        "cer": {name: round(errors.cer, 4) for name, errors in measurement.errors.items()},
        "latency_seconds": {
            name: {
                "unaware": percentiles(latencies.unaware),
                "aware": percentiles(latencies.aware),
                "n": len(latencies.unaware),
                "missed": latencies.missed,
            }
            for name, latencies in measurement.latencies.items()
        },
        "after_speech": {
            name: {
                "seconds": {
                    "unaware": percentiles(after.latencies.unaware),
                    "aware": percentiles(after.latencies.aware),
                },
                "wer": round(after.errors.wer, 4) if after.latencies.unaware else None,
                "n": len(after.latencies.unaware),
                "missed": after.latencies.missed,
            }
            for name, after in measurement.after_speech.items()
        },
        "seams": _seams(measurement.seams) | {"offline": _seams(measurement.seams_offline)},
        "committed_revisions": stability.n_revisions,
        "unstable_partial_word_ratio": round(stability.unstable_ratio, 4),
        "normalized_erasure": round(stability.normalized_erasure, 4),
        "draft_acceptance": round(decodes.acceptance, 4),
        "draft_tokens_offered": decodes.n_drafted,
        "draft_tokens_accepted": decodes.n_accepted,
        "sequential_passes": decodes.n_passes,
        "passes_saved": round(decodes.passes_saved, 4),
        "steps": len(measurement.step_seconds),
        "decodes": decodes.n_steps,
        "step_seconds": percentiles(measurement.step_seconds),
        "rtf": round((float(steps.sum()) + measurement.settle_seconds) / max(measurement.sound_seconds, 1e-9), 4),
        "rtf_settling": round(measurement.settle_seconds / max(measurement.sound_seconds, 1e-9), 4),
        "lag_seconds": {"p50": _rounded(np.percentile(lags, 50)), "p95": _rounded(np.percentile(lags, 95))}
        | {"most": _rounded(lags.max())},
    }


def percentiles(values: Sequence[float]) -> dict[str, float] | None:
    """p50, p95 and p99; None where there are no values."""
    if not values:
        return None
    return {f"p{p}": _rounded(np.percentile(values, p)) for p in PERCENTILES}


def streaming_gap(parts: Sequence[Measurement], name: str) -> dict[str, float] | None:
    """WER of the `stable` or `final` text minus offline WER, with a 95% interval from resampled recordings; from
    resampled pieces of `PIECE_WORDS` words if there is one recording.

    None where offline was not measured.
    """
    if any("offline" not in part.errors for part in parts):
        return None
    counts = [
        (part.errors[name].n_words, part.errors[name].word_errors - part.errors["offline"].word_errors)
        for part in parts
    ]
    if len(parts) == 1 and parts[0].errors_by_word.get(name):
        by_word = parts[0].errors_by_word
        more = [here - there for here, there in zip(by_word[name], by_word["offline"], strict=True)]
        pieces = [more[at : at + PIECE_WORDS] for at in range(0, len(more), PIECE_WORDS)]
        counts = [(len(piece), sum(piece)) for piece in pieces]
    gap, low, high = rate_and_interval(counts)
    return {"gap": round(gap, 4), "low": round(low, 4), "high": round(high, 4)}


def seam_ratios(parts: Sequence[Measurement]) -> dict[str, Any]:
    """`seams` of these recordings. Where there are several, both `ratio_within` have 95% intervals, from resampled
    recordings."""

    def of(errors: Sequence[SeamErrors]) -> dict[str, Any]:
        seams = _seams(sum(errors, SeamErrors()))
        if seams["ratio_within"] is None or len(errors) < 2:
            return seams
        low, high = bootstrap(errors, lambda chosen: sum(chosen, SeamErrors()).ratio_within or 0.0)
        return seams | {"low": _rounded(low), "high": _rounded(high)}

    return of([part.seams for part in parts]) | {"offline": of([part.seams_offline for part in parts])}


def rate_and_interval(counts: Sequence[tuple[int, int]]) -> tuple[float, float, float]:
    """Errors over units, with the 95% interval over the parts.

    Args:
        counts: (units, errors) of each part.
    """

    def rate(chosen: Sequence[tuple[int, int]]) -> float:
        return sum(errors for _, errors in chosen) / max(sum(units for units, _ in chosen), 1)

    return rate(counts), *bootstrap(counts, rate)


def bootstrap(parts: Sequence[T], figure: Callable[[Sequence[T]], float]) -> tuple[float, float]:
    """The 95% interval of a figure over parts drawn with replacement; of no width with a single part."""
    chance = random.Random(1)
    values = sorted(figure(chance.choices(parts, k=len(parts))) for _ in range(RESAMPLES))
    return values[round(0.025 * (RESAMPLES - 1))], values[round(0.975 * (RESAMPLES - 1))]


def _seams(errors: SeamErrors) -> dict[str, Any]:
    return {
        "n": errors.n_seams,
        "words_near": errors.near_words,
        "wer_near": round(errors.near_wer, 4),
        "wer_elsewhere": round(errors.other_wer, 4),
        "ratio": errors.ratio and _rounded(errors.ratio),
        "ratio_within": errors.ratio_within and _rounded(errors.ratio_within),
    }


def _rounded(value: float) -> float:
    return round(float(value), 3)
