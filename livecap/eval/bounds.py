"""Bounds on figures: a measurement that misses one reports it and fails."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from livecap.errors import SettingsError

_BOUND = re.compile(r"\s*(\S.*?)\s*(<=|>=)\s*(-?[0-9.]+)\s*")

GOALS = (
    "committed_revisions <= 0",
    "wer_gap.stable.gap <= 0.005",
    "wer_gap.final.gap <= 0.001",
    "latency_seconds.first_partial.unaware.p50 <= 0.8",
    "latency_seconds.final.unaware.p50 <= 0.35",
    "normalized_erasure <= 0.2",
    "unstable_partial_word_ratio <= 0.1",
    "seams.ratio_within <= 1.1",
)
"""The goals of every mode of the stream, on sessions."""
GOALS_OF_MODES = {
    "default": (
        "latency_seconds.commit.unaware.p50 <= 1.2",
        "latency_seconds.commit.unaware.p95 <= 2.2",
    ),
    "0.5 s": ("passes_saved >= 0.5",),
    "2 s": ("passes_saved >= 0.3",),
}
"""The additional goals of single modes, by the mode's name in the table."""


@dataclass(frozen=True, slots=True)
class Bound:
    """A limit of one figure."""

    path: str
    """The figure's keys in the JSON, joined by dots. A key may have dots too, such as the mode `0.5 s`."""
    at_most: bool
    """True for `<=`, False for `>=`."""
    limit: float

    def __str__(self) -> str:
        return f"{self.path} {'<=' if self.at_most else '>='} {self.limit:g}"


def goals(mode: str) -> list[Bound]:
    """The goals of a mode, by its name in the table."""
    return [parse_bound(text) for text in (*GOALS, *GOALS_OF_MODES.get(mode, ()))]


def parse_bound(text: str) -> Bound:
    """A bound written as `rtf <= 1.3`.

    Raises:
        SettingsError: the text has another form.
    """
    match = _BOUND.fullmatch(text)
    if match is None:
        raise SettingsError(f"Invalid bound {text!r}: give a figure of the JSON, <= or >=, and a number.")
    try:
        return Bound(match[1], match[2] == "<=", float(match[3]))
    except ValueError:
        raise SettingsError(f"Invalid bound {text!r}: {match[3]} is not a number.") from None


def missed(figures: Mapping[str, Any], bounds: Sequence[Bound]) -> list[str]:
    """A line for each bound that does not hold.

    Raises:
        SettingsError: there is no such figure.
    """
    lines = []
    for bound in bounds:
        value = _value(figures, bound.path)
        if value is None or (value > bound.limit if bound.at_most else value < bound.limit):
            shown = "nothing was measured" if value is None else f"it is {value:g}"
            lines.append(f"{figures.get('mode', '')}: {bound} is missed: {shown}.")
    return lines


def _value(figures: Mapping[str, Any], path: str) -> float | None:
    value: Any = figures
    rest = path
    while rest:
        if value is None or value == {}:  # such as latencies without the times of words
            return None
        keys = list(value) if isinstance(value, Mapping) else []
        key = max((key for key in keys if f"{rest}.".startswith(f"{key}.")), key=len, default=None)
        if key is None:
            raise SettingsError(f"There is no figure {path}: {rest} is not among {', '.join(keys) or 'none'}.")
        value, rest = value[key], rest[len(key) + 1 :]
    if value is not None and not isinstance(value, int | float):
        raise SettingsError(f"{path} is not a number: a bound needs one.")
    return None if value is None else float(value)
