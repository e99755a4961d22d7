"""Modes of the stream: a name and a configuration, read from one command-line argument."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from enum import Enum
from types import NoneType
from typing import Any, get_args, get_type_hints

from livecap.errors import SettingsError
from livecap.stream.config import StreamConfig

SHORTEST_CHUNK, LONGEST_CHUNK = 0.1, 12
"""The shortest and the longest chunk, in seconds, of a mode that is named by its chunk."""
_KINDS = {bool: "true or false", int: "a whole number", float: "a number", str: "text"}


@dataclass(frozen=True)
class Mode:
    """A configuration of the stream, with its name in the table."""

    name: str
    config: StreamConfig


def parse_mode(text: str, step_cost: float | None = None) -> Mode:
    """Read `default`, a chunk in seconds such as `0.5`, or `NAME:setting=value;setting=value`.

    A setting is a field of `StreamConfig`; fields of a nested group are written with a dot: `commit.rule=agreement`.

    Args:
        step_cost: seconds that a step is assumed to cost, for modes whose chunk follows the cost.

    Raises:
        SettingsError: there is no such mode, setting or value.
    """
    config: Any = StreamConfig(step_cost_seconds=step_cost)
    name, colon, rest = text.partition(":")
    if not colon and name != "default":
        return Mode(f"{name} s", replace(config, step_seconds=_chunk(name)))
    for assignment in filter(None, rest.split(";")):
        path, equals, value = assignment.partition("=")
        if not equals:
            raise SettingsError(f"Mode {text!r}: invalid {assignment!r}, give SETTING=VALUE.")
        config = _set(config, path.strip().split("."), value.strip(), text)
    return Mode(name, config)


def _chunk(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not SHORTEST_CHUNK <= seconds <= LONGEST_CHUNK:
        raise SettingsError(
            f"Invalid mode {text!r}. There are: default; a chunk from {SHORTEST_CHUNK} to {LONGEST_CHUNK} seconds, "
            "such as 0.5; NAME:SETTING=VALUE;SETTING=VALUE."
        )
    return seconds


def _set(config: Any, path: Sequence[str], value: str, mode: str) -> Any:
    """A copy of a frozen dataclass with the setting at `path` changed."""
    known = [field.name for field in fields(config)]
    if path[0] not in known:
        raise SettingsError(f"Mode {mode!r}: there is no setting {path[0]!r}. There are: {', '.join(known)}.")
    old = getattr(config, path[0])
    if len(path) > 1:
        if not is_dataclass(old):
            raise SettingsError(f"Mode {mode!r}: {path[0]} is a single value, without a part {path[1]!r}.")
        return replace(config, **{path[0]: _set(old, path[1:], value, mode)})
    return replace(config, **{path[0]: _typed(get_type_hints(type(config))[path[0]], path[0], value, mode)})


def _typed(kind: Any, name: str, value: str, mode: str) -> Any:
    """`value` converted to the setting's type; `auto` is None where that is allowed."""
    kinds = get_args(kind) or (kind,)
    if value == "auto" and NoneType in kinds:
        return None
    wanted = next(k for k in kinds if k is not NoneType)
    try:
        if wanted is bool:
            return {"true": True, "false": False}[value.lower()]
        if not issubclass(wanted, Enum | int | float | str):
            raise ValueError
        return wanted(value)
    except (ValueError, KeyError):
        allowed = ", ".join(str(e.value) for e in wanted) if issubclass(wanted, Enum) else _KINDS.get(wanted, "plain")
        raise SettingsError(f"Mode {mode!r}: {name} cannot be {value!r}. Allowed: {allowed}.") from None
