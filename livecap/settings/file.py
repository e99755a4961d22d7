"""Editing the settings file: a setting changes; comments, order, byte order mark and line ends stay.

tomlkit edits; the start of livecap reads with `tomllib`, which loads faster.
"""

import fcntl
import os
import re
import tomllib
from collections.abc import Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import tomlkit
from tomlkit.exceptions import TOMLKitError

from livecap.errors import SettingsError, brief
from livecap.files import NO_LOCKS, make_folder, read_regular, replace_file
from livecap.settings.sources import MOST_BYTES, read_file
from livecap.settings.values import TEXT

BOM = "\ufeff"


def store(path: Path, changes: Mapping[str, Any]) -> None:
    """Change settings in the file. Any process may do so at the same time: no change is lost.

    The file is replaced as a whole, with mode 0600. If `path` is a link, it stays one, and its target changes.

    Args:
        changes: dotted name to value; None removes the setting.

    Raises:
        SettingsError: the file is not valid TOML, cannot be written, cannot be changed safely, or would be too large
            to be read.
    """
    for name, value in changes.items():
        try:
            TEXT.checked(str(value))
        except ValueError:
            raise SettingsError(f"{name} must be {TEXT.expected}, not {brief(str(value))}.") from None
    try:
        path = Path(os.path.realpath(path))
        if path.exists() and not path.is_file():
            raise SettingsError(
                f"{path} is not a file, so settings cannot be written to it. Set LIVECAP_SETTINGS to another path."
            )
        make_folder(path.parent)
        with _locked(path):
            read_file(path)  # reports a file that is not TOML
            text = read_regular(path, MOST_BYTES).decode() if path.exists() else ""
            changed = _changed(path, text, changes)
            if len(changed.encode()) > MOST_BYTES:
                raise SettingsError(
                    f"{path} would be larger than {MOST_BYTES:,} bytes, which livecap does not read; nothing changed. "
                    "Give a shorter value. Names and terms to expect can be in a file (context_file)."
                )
            replace_file(path, [changed])
    except OSError as error:
        raise SettingsError(f"Cannot write {path}: {error.strerror}.") from None


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Keep other processes and threads from changing the file: `.NAME.lock` beside it is locked, and stays there."""
    lock = os.open(path.with_name(f".{path.name}.lock"), os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
        except OSError as error:
            if error.errno not in NO_LOCKS:
                raise
        yield
    finally:
        os.close(lock)


def _changed(path: Path, text: str, changes: Mapping[str, Any]) -> str:
    """The text of the file with the changes, checked with `tomllib`."""
    body = text.removeprefix(BOM)
    expected = tomllib.loads(body)
    comments: dict[str, str] = {}
    """Header of a table to the comment above it, which tomlkit would leave behind a setting that is new before it."""

    def cut(found: re.Match[str]) -> str:
        comments[found[2]] = found[1]
        return found[2]

    try:
        document = tomlkit.parse(re.sub(r"^((?:[ \t]*#.*\n)+)([ \t]*\[.*\n?)", cut, body, flags=re.MULTILINE))
        for name, value in changes.items():
            value = str(value) if isinstance(value, Path) else value
            _change(document, name, value)
            _change(expected, name, value)
        changed = document.as_string()
        for header, comment in comments.items():
            before, found, behind = f"\n{changed}".partition(f"\n{header}")
            if not found:
                raise ValueError("what looked like a table was in a text that has changed")
            changed = f"{before}\n{comment}{header}{behind}"[1:]
        if "\r\n" in body and not re.search(r"(?<!\r)\n", body):
            changed = re.sub(r"(?<!\r)\n", "\r\n", changed)
        understood = tomllib.loads(changed)
    except (TOMLKitError, ValueError):
        understood = None
    if understood != expected:
        raise SettingsError(f"{path} is written in a way that livecap cannot change safely. Please edit it by hand.")
    return text[: len(text) - len(body)] + changed


def _change(values: Any, name: str, value: Any) -> None:
    """Set or (None) remove a setting in a document of tomlkit, or in a plain dict. The name of a key's command may have
    a dot itself: `"session.play"` in the table `keys`, which the user may have written as `session.play`."""
    table, dot, key = name.partition(".")
    if dot and table not in values:
        if value is None:
            return
        values[table] = {} if type(values) is dict else tomlkit.table()
    if dot and not isinstance(values[table], MutableMapping):
        raise ValueError("a setting has the name of a table")
    while dot and isinstance(values.get(table), MutableMapping):
        values, name = values[table], key
        table, dot, key = name.partition(".")
    if value is None:
        values.pop(name, None)
    else:
        values[name] = value


def toml_key(name: str) -> str:
    """The name of a setting in its table as TOML writes it: one with a dot is in quotes."""
    return tomlkit.key(name).as_string()


def toml_value(value: Any) -> str:
    """A value as TOML writes it."""
    return tomlkit.item(str(value) if isinstance(value, Path) else value).as_string()
