"""Writing into the settings file: one setting changes, the rest of it, comments too, stays as it is."""

import json
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from livecap.errors import SettingsError
from livecap.files import replace_file
from livecap.settings.sources import read_file


def store(path: Path, changes: Mapping[str, Any]) -> None:
    """Write settings into the file; the rest of it, comments too, stays as it is. None takes a setting out.

    Raises:
        SettingsError: the file cannot be written, or is so written that a setting cannot be changed in it.
    """
    path = path.resolve()  # a link stays one, and what it leads to changes
    if path.exists() and not path.is_file():
        raise SettingsError(f"{path} is no file: settings cannot be written there. LIVECAP_SETTINGS names another.")
    values = read_file(path)
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        text = ""
    for name, value in changes.items():
        text = _with(text, name, value)
        table, _, key = name.rpartition(".")
        inner = values.setdefault(table, {}) if table else values
        inner.pop(key, None)
        if value is not None:
            inner[key] = str(value) if isinstance(value, Path) else value
    try:
        understood = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        understood = None
    if understood != {name: value for name, value in values.items() if value != {} or name in (understood or {})}:
        raise SettingsError(f"{path} is written in a way that cannot be changed here: please change it by hand.")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_file(path, [text])
    except OSError as error:
        raise SettingsError(f"Cannot write {path}: {error.strerror}.") from None


def _with(text: str, name: str, value: Any) -> str:
    """The text of a file with one setting changed, added or (None) taken out."""
    table, _, key = name.rpartition(".")
    lines = text.removesuffix("\n").split("\n") if text else []
    heads = [i for i, line in enumerate(lines) if re.match(r"\s*\[", line)]
    if table:
        begin = next(
            (i + 1 for i in heads if re.fullmatch(rf"\s*\[\s*{re.escape(table)}\s*\]\s*(#.*)?", lines[i])), None
        )
        if begin is None:
            if value is None:
                return text
            lines += ["", f"[{table}]"] if lines else [f"[{table}]"]
            begin = len(lines)
    else:
        begin = 0
    end = next((i for i in heads if i >= begin), len(lines))
    written = None if value is None else f"{_toml_key(key)} = {toml_value(value)}"
    for i in range(begin, end):
        if re.match(rf"\s*(\"{re.escape(key)}\"|{re.escape(key)})\s*=", lines[i]):
            lines[i : i + 1] = [] if written is None else [written]
            break
    else:
        while end > begin and not lines[end - 1].strip():
            end -= 1
        lines[end:end] = [] if written is None else [written]
    return "\n".join(lines) + "\n" if lines else ""


def _toml_key(key: str) -> str:
    return key if re.fullmatch(r"[A-Za-z0-9_-]+", key) else json.dumps(key)


def toml_value(value: Any) -> str:
    """A value as TOML writes it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_toml_key(k)} = {toml_value(v)}" for k, v in value.items()) + "}"
    return json.dumps(str(value), ensure_ascii=False).replace("\x7f", "\\u007f")
