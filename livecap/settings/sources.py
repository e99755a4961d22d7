"""Where settings come from: the file, then the environment, then flags; the later one wins.

language = "English"            in the file that `livecap config path` names
LIVECAP_LANGUAGE=English        in the environment; LIVECAP_SCREEN_THEME for a setting in a table
--language English              as a flag
"""

import difflib
import os
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import platformdirs

from livecap.errors import SettingsError
from livecap.settings.fields import STORED, ScreenSettings, Settings

FILE_VARIABLE = "LIVECAP_SETTINGS"
"""The environment variable that names another settings file."""
PREFIX = "LIVECAP_"


@dataclass(frozen=True, slots=True)
class Effective:
    """The settings in force, and where each came from."""

    settings: Settings
    origins: Mapping[str, str]
    """Dotted name to "the settings file", an environment variable or "a flag". A missing name has its default."""
    path: Path
    """The settings file, whether it exists or not."""


def settings_path(environ: Mapping[str, str] = os.environ) -> Path:
    """The settings file, whether it exists or not."""
    if environ.get(FILE_VARIABLE):
        return Path(environ[FILE_VARIABLE]).expanduser()
    return Path(platformdirs.user_config_dir("livecap", appauthor=False)) / "settings.toml"


def load_settings(flags: Mapping[str, Any], environ: Mapping[str, str] = os.environ) -> Effective:
    """The settings in force.

    Args:
        flags: field to value, for the flags that were given; values are checked already.

    Raises:
        SettingsError: the file cannot be read, or a setting is unknown or has an invalid value.
    """
    path = settings_path(environ)
    values: dict[str, Any] = {}
    origins: dict[str, str] = {}
    for name, value in _flat(read_file(path), str(path)):
        values[name] = _checked(name, value, str(path))
        origins[name] = "the settings file"
    for variable, text in sorted(environ.items()):
        named = _named_by(variable)
        if named is not None and text != "":
            values[named] = parse_value(named, text, variable)
            origins[named] = variable
    for name, value in flags.items():
        values[name] = value
        origins[name] = "a flag"
    screen = {name.partition(".")[2]: values.pop(name) for name in list(values) if name.startswith("screen.")}
    return Effective(Settings(**values, screen=ScreenSettings(**screen)), origins, path)


def read_file(path: Path) -> dict[str, Any]:
    """The contents of a settings file; empty if there is none.

    Raises:
        SettingsError: the file cannot be read, or is not valid TOML.
    """
    try:
        return tomllib.loads(path.read_bytes().decode("utf-8-sig"))
    except FileNotFoundError:
        return {}
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path} is not valid TOML: {error}. Fix it or remove it.") from None
    except OSError as error:
        raise SettingsError(f"Cannot read {path}: {error.strerror}.") from None


def _flat(values: Mapping[str, Any], where: str) -> Iterator[tuple[str, Any]]:
    """(dotted name, value) of everything in a file."""
    for name, value in values.items():
        if name == "screen" and isinstance(value, Mapping):
            for inner, inner_value in value.items():
                yield require_known(f"{name}.{inner}", where), inner_value
        else:
            yield require_known(name, where), value


def require_known(name: str, where: str) -> str:
    """`name`, if a settings file may hold it.

    Raises:
        SettingsError: there is no such setting; the message names the nearest one.
    """
    if name in STORED:
        return name
    raise SettingsError(f"{where}: there is no setting {name!r}. {_nearest(name, STORED)}")


def _nearest(name: str, known: Iterable[str]) -> str:
    """A sentence with the known name that is most like `name`, or with all of them."""
    names = sorted(known)
    last = {full.rpartition(".")[2]: full for full in reversed(names)}
    near = difflib.get_close_matches(name, names, n=1) or difflib.get_close_matches(name.rpartition(".")[2], last, n=1)
    if near:
        return f"Did you mean {last.get(near[0], near[0])!r}?"
    return f"There are: {', '.join(names)}."


def _named_by(variable: str) -> str | None:
    """The setting that an environment variable gives; None for variables of others."""
    if not variable.startswith(PREFIX) or variable == FILE_VARIABLE:
        return None
    variables = {variable_of(name): name for name in STORED if name != "keys"}
    if variable in variables:
        return variables[variable]
    near = difflib.get_close_matches(variable[len(PREFIX) :], [v[len(PREFIX) :] for v in variables], n=1, cutoff=0.75)
    if near:
        raise SettingsError(f"There is no setting {variable}. Did you mean {PREFIX}{near[0]}?")
    return None


def variable_of(name: str) -> str:
    """The environment variable of a setting."""
    return PREFIX + name.upper().replace(".", "_")


def parse_value(name: str, text: str, where: str) -> Any:
    """The value of a stored setting, from text that the user typed.

    Raises:
        SettingsError: no such setting, or an invalid value.
    """
    kind = STORED[require_known(name, where)].kind
    try:
        return kind.from_text(text)
    except ValueError:
        raise SettingsError(f"{where}: {name} must be {kind.expected}, not {text!r}.") from None


def _checked(name: str, value: Any, where: str) -> Any:
    """The value of a setting in a file, checked and converted."""
    kind = STORED[name].kind
    try:
        return kind.checked(value)
    except ValueError:
        raise SettingsError(f"{where}: {name} must be {kind.expected}, not {value!r}.") from None
