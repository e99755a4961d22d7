"""The figures of the table, made of counts and samples. What each means is in `figure_definitions.py`."""

import random
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from livecap.eval.measurement import Measured
from livecap.eval.seam_errors import SeamErrors

PERCENTILES = (50, 95, 99)
RESAMPLES = 2000


def figures(measured: Measured) -> dict[str, Any]:
    """Plain values of one row, for JSON."""
    stability, decodes = measured.stability, measured.decodes
    steps = np.array(measured.step_seconds or [0.0])
    lags = np.array(measured.lag_seconds or [0.0])
    return {
        "recording": measured.recording,
        "mode": measured.mode,
        "sound_seconds": round(measured.sound_seconds, 1),
        "words": measured.errors["stable"].n_words,
        "wer": {name: round(errors.wer, 4) for name, errors in measured.errors.items()},
        "cer": {name: round(errors.cer, 4) for name, errors in measured.errors.items()},
        "latency_seconds": {
            name: {
                "unaware": percentiles(samples.unaware),
                "aware": percentiles(samples.aware),
                "n": len(samples.unaware),
                "missed": samples.missed,
            }
            for name, samples in measured.latencies.items()
        },
        "seams": _seams(measured.seams) | {"offline": _seams(measured.seams_offline)},
        "committed_revisions": stability.n_revisions,
        "unstable_partial_word_ratio": round(stability.unstable_ratio, 4),
        "normalized_erasure": round(stability.normalized_erasure, 4),
        "draft_acceptance": round(decodes.acceptance, 4),
        "draft_tokens_offered": decodes.n_offered,
        "draft_tokens_accepted": decodes.n_accepted,
        "sequential_passes": decodes.n_passes,
        "passes_saved": round(decodes.passes_saved, 4),
        "steps": len(measured.step_seconds),
        "decodes": decodes.n_decodes,
        "step_seconds": percentiles(measured.step_seconds),
        "rtf": round((float(steps.sum()) + measured.settle_seconds) / max(measured.sound_seconds, 1e-9), 4),
        "rtf_settling": round(measured.settle_seconds / max(measured.sound_seconds, 1e-9), 4),
        "lag_seconds": {"p50": _rounded(np.percentile(lags, 50)), "p95": _rounded(np.percentile(lags, 95))}
        | {"most": _rounded(lags.max())},
    }


def percentiles(values: Sequence[float]) -> dict[str, float] | None:
    """p50, p95 and p99; None where there are no values."""
    if not values:
        return None
    return {f"p{p}": _rounded(np.percentile(values, p)) for p in PERCENTILES}


def streaming_gap(parts: Sequence[Measured], name: str, seed: int = 1) -> dict[str, float] | None:
    """WER of `stable` or `final` text minus offline WER, with a 95% interval from resampled recordings.

    None where offline was not measured.
    """
    if any("offline" not in part.errors for part in parts):
        return None

    def gap(chosen: Sequence[Measured]) -> float:
        words = sum(part.errors[name].n_words for part in chosen)
        more = sum(part.errors[name].word_errors - part.errors["offline"].word_errors for part in chosen)
        return more / max(words, 1)

    low, high = bootstrap(parts, gap, seed)
    return {"gap": round(gap(parts), 4), "low": round(low, 4), "high": round(high, 4)}


def bootstrap(
    parts: Sequence[Measured], figure: Callable[[Sequence[Measured]], float], seed: int = 1
) -> tuple[float, float]:
    """The 95% interval of a figure over recordings drawn with replacement. One recording says nothing of others."""
    chance = random.Random(seed)
    values = sorted(figure(chance.choices(parts, k=len(parts))) for _ in range(RESAMPLES))
    return values[round(0.025 * (RESAMPLES - 1))], values[round(0.975 * (RESAMPLES - 1))]


def _seams(errors: SeamErrors) -> dict[str, Any]:
    return {
        "n": errors.n_seams,
        "words_near": errors.near_words,
        "wer_near": round(errors.near_wer, 4),
        "wer_elsewhere": round(errors.other_wer, 4),
        "ratio": _rounded_or_none(errors.ratio),
        "ratio_within": _rounded_or_none(errors.ratio_within),
    }


def _rounded_or_none(value: float | None) -> float | None:
    return None if value is None else _rounded(value)


def _rounded(value: float) -> float:
    return round(float(value), 3)
