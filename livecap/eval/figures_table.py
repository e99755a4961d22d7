"""The figures of `livecap eval` as text: a column for each mode, a line for each figure."""

from collections.abc import Mapping, Sequence
from typing import Any

TEXTS = ("offline", "stable", "final")
LATENCIES = {
    "first_partial": "first partial",
    "partial": "partial latency",
    "emission": "emission delay",
    "commit": "commit latency",
    "final": "final latency",
    "close": "close latency",
}


def table(columns: Sequence[Mapping[str, Any]]) -> str:
    """The table as text.

    Args:
        columns: for each mode, the figures of all its recordings, as `figures.figures` makes them.
    """
    rows: list[tuple[str, list[str]]] = [("mode", [column["mode"] for column in columns])]

    def row(name: str, values: list[str]) -> None:
        rows.append((name, values))

    for rate in ("wer", "cer"):
        for text in TEXTS:
            row(f"{rate.upper()} {text}", [_percent(column[rate].get(text)) for column in columns])
    for text in ("stable", "final"):
        row(f"WER {text} - offline", [_gap(column.get("wer_gap", {}).get(text)) for column in columns])
    row("seams, WER near, ratios", [_seams(column["seams"]) for column in columns])
    for key, name in LATENCIES.items():
        for clock in ("unaware", "aware"):
            values = [column["latency_seconds"].get(key, {}).get(clock) for column in columns]
            row(f"{name}, {clock}", [_percentiles(value) for value in values])
    for key in ("first", "final"):
        for clock in ("unaware", "aware"):
            row(
                f"{key} text after speech, {clock}",
                [_after(column["after_speech"].get(key), clock) for column in columns],
            )
    row("revisions", [str(column["committed_revisions"]) for column in columns])
    row("unstable words", [_percent(column["unstable_partial_word_ratio"]) for column in columns])
    row("erasure", [f"{column['normalized_erasure']:.3f}" for column in columns])
    row("draft acceptance", [_percent(column["draft_acceptance"]) for column in columns])
    row("passes, saved", [f"{column['sequential_passes']}, {_percent(column['passes_saved'])}" for column in columns])
    row("steps, per minute", [f"{c['steps']}, {c['steps'] * 60 / max(c['sound_seconds'], 1):.1f}" for c in columns])
    row("step cost", [_percentiles(column["step_seconds"]) for column in columns])
    row("RTF, of it settling", [f"{column['rtf']:.3f}, {column['rtf_settling']:.3f}" for column in columns])
    row("lag", ["{p50:.2f} / {p95:.2f} / {most:.2f}".format(**column["lag_seconds"]) for column in columns])
    return _aligned(rows)


def recordings_table(parts: Sequence[Mapping[str, Any]]) -> str:
    """A table with a line for each recording in each mode."""
    rows = [("recording", ["mode", "words", *TEXTS, "stable - offline", "commit p50, p95", "RTF"])]
    for part in parts:
        commit = part["latency_seconds"].get("commit", {}).get("unaware")
        latency = f"{commit['p50']:.2f}, {commit['p95']:.2f}" if commit else "-"
        errors = [*(_percent(part["wer"].get(text)) for text in TEXTS), _gap(part.get("wer_gap", {}).get("stable"))]
        rows.append((part["recording"], [part["mode"], str(part["words"]), *errors, latency, f"{part['rtf']:.3f}"]))
    return _aligned(rows)


def _aligned(rows: Sequence[tuple[str, list[str]]]) -> str:
    first = max(len(name) for name, _ in rows)
    widths = [max(len(values[i]) for _, values in rows) for i in range(len(rows[0][1]))]
    lines = []
    for name, values in rows:
        cells = [value.rjust(width) for value, width in zip(values, widths, strict=True)]
        lines.append("  ".join([name.ljust(first), *cells]).rstrip())
    return "\n".join(lines)


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{value:.2%}"


def _gap(value: Mapping[str, float] | None) -> str:
    if value is None:
        return "-"
    return f"{value['gap'] * 100:+.2f} ({value['low'] * 100:+.2f}..{value['high'] * 100:+.2f})"


def _seams(value: Mapping[str, Any]) -> str:
    shown = " / ".join([_ratio(value["ratio"]), *(_ratio(v["ratio_within"], v) for v in (value, value["offline"]))])
    return f"{value['n']}, {value['wer_near']:.2%}, {shown}"


def _ratio(ratio: float | None, interval: Mapping[str, Any] | None = None) -> str:
    shown = "-" if ratio is None else f"{ratio:.2f}"
    return shown + (" ({low:.2f}..{high:.2f})".format(**interval) if interval and "low" in interval else "")


def _after(value: Mapping[str, Any] | None, clock: str) -> str:
    return "-" if value is None else f"{_percentiles(value['seconds'][clock])}, WER {_percent(value['wer'])}"


def _percentiles(value: Mapping[str, float] | None) -> str:
    return "-" if value is None else f"{value['p50']:.2f} / {value['p95']:.2f} / {value['p99']:.2f}"
