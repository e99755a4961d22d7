"""Modes of the stream: a name and a configuration, read from one command-line argument."""

import math
from collections.abc import Iterable
from dataclasses import dataclass, fields, replace
from enum import Enum
from types import NoneType
from typing import Any, get_args, get_type_hints

from livecap.errors import SettingsError
from livecap.stream.config import ChunkConfig, StreamConfig

SHORTEST_CHUNK, LONGEST_CHUNK = 0.1, 12
"""The shortest and the longest chunk, in seconds, of a mode that is named by its chunk."""
OLD_NAMES = {
    "step_seconds": "chunk_seconds",
    "least_step_seconds": "least_chunk_seconds",
    "most_step_seconds": "most_chunk_seconds",
    "first_step_seconds": "first_chunk_seconds",
    "max_step_seconds": "max_new_seconds",
    "commit.settled_seconds": "commit.held_seconds",
}
"""Settings that were renamed; modes that use the old name still work."""
_KINDS = {bool: "true or false", int: "a whole number", float: "a number", str: "text"}


@dataclass(frozen=True)
class Mode:
    """A configuration of the stream, with its name in the table."""

    name: str
    config: StreamConfig


def parse_mode(text: str, step_cost: float | None = None) -> Mode:
    """Read `default` or `auto`, a chunk in seconds such as `0.5`, or `NAME:setting=value;setting=value`.

    A setting is a field of one of `StreamConfig`'s groups, with or without the group: `commit.rule=agreement`.

    Args:
        step_cost: seconds that a step is assumed to cost, for modes whose chunk follows the cost.

    Raises:
        SettingsError: there is no such mode, setting or value.
    """
    config = StreamConfig(ChunkConfig(step_cost_seconds=step_cost))
    name, colon, rest = text.partition(":")
    name = "default" if name == "auto" else name
    if not colon and name != "default":
        seconds = _chunk(name)
        return Mode(f"{seconds:g} s", replace(config, chunk=replace(config.chunk, chunk_seconds=seconds)))
    for assignment in filter(None, rest.split(";")):
        setting, equals, value = assignment.partition("=")
        if not equals:
            raise SettingsError(f"Mode {text!r}: invalid {assignment!r}, give SETTING=VALUE.")
        config = _set(config, setting.strip(), value.strip(), text)
    return Mode(name, config)


def parse_modes(texts: Iterable[str], step_cost: float | None = None) -> list[Mode]:
    """As `parse_mode`, for several modes that are compared.

    Raises:
        SettingsError: as `parse_mode`, or two modes have the same name.
    """
    modes: list[Mode] = []
    for text in texts:
        mode = parse_mode(text, step_cost)
        if any(mode.name == other.name for other in modes):
            raise SettingsError(f"Two modes are named {mode.name!r}. Give each another name, as in NAME:SETTING=VALUE.")
        modes.append(mode)
    return modes


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


def _set(config: StreamConfig, name: str, value: str, mode: str) -> StreamConfig:
    """A copy of `config` with the setting `name` changed: `chunk_seconds`, or `chunk.chunk_seconds` with its group."""
    name = OLD_NAMES.get(name, name)
    settings = {
        f"{group.name}.{setting.name}": get_type_hints(type(values))[setting.name]
        for group in fields(config)
        for values in [getattr(config, group.name)]
        for setting in fields(values)
    }
    full = next((known for known in settings if name in (known, known.partition(".")[2])), None)
    if full is None:
        raise SettingsError(f"Mode {mode!r}: there is no setting {name!r}. There are: {', '.join(settings)}.")
    group, _, setting = full.partition(".")
    changed: Any = {setting: _typed(settings[full], name, value, mode)}
    return replace(config, **{group: replace(getattr(config, group), **changed)})


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
        number = wanted(value)
        if isinstance(number, float) and not math.isfinite(number):
            raise ValueError
        return number
    except (ValueError, KeyError):
        allowed = ", ".join(str(e.value) for e in wanted) if issubclass(wanted, Enum) else _KINDS.get(wanted, "plain")
        raise SettingsError(f"Mode {mode!r}: {name} cannot be {value!r}. Allowed: {allowed}.") from None
