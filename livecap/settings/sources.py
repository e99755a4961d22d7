"""Where settings come from: the file, then the environment, then flags; the later one wins.

language = "English"            in the file that `livecap config path` names
LIVECAP_LANGUAGE=English        in the environment; LIVECAP_SCREEN_THEME for a setting in a table
--language English              as a flag
"""

import difflib
import os
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import platformdirs

from livecap.errors import SettingsError, brief
from livecap.files import read_regular
from livecap.settings.fields import SETTINGS, STORED, Output, ScreenSettings, Settings
from livecap.settings.values import PATH

FILE_VARIABLE = "LIVECAP_SETTINGS"
"""The environment variable that names another settings file."""
PREFIX = "LIVECAP_"
KEY_VARIABLE = "LIVECAP_REMOTE_KEY"
"""The environment variable that holds the key of the remote server, which no setting holds."""
MOST_BYTES = 1 << 18
"""Size of a settings file; a larger one is not read."""
_KEY = r"(?:[A-Za-z0-9_-]++|\"[^\"\n]*+\"|'[^'\n]*+')[ \t]*+"
_DEEP_KEY = re.compile(
    rf""""{{3}}(?:[^\\]|\\.)*?"{{3}}|'{{3}}.*?'{{3}}|(?P<deep>(?<![A-Za-z0-9_-])(?:{_KEY}\.[ \t]*+){{32}})"""
    r"""|"(?:[^"\\\n]|\\.)*+"|'[^'\n]*+'|\#[^\n]*+""",
    re.DOTALL,
)
"""The group `deep` is a key such as a.b.c with 32 parts and more; strings and comments are passed over. `tomllib` takes
memory by the square of the number of parts."""


@dataclass(frozen=True, slots=True)
class Effective:
    """The settings in force, and where each came from."""

    settings: Settings
    origins: Mapping[str, str]
    """Dotted name to "the settings file", an environment variable or "a flag". A missing name has its default."""
    path: Path | None
    """The settings file, whether it exists or not; None without a home folder."""


def settings_path(environ: Mapping[str, str] = os.environ) -> Path:
    """The settings file, whether it exists or not.

    Raises:
        SettingsError: the user has no home folder.
    """
    if named := environ.get(FILE_VARIABLE):
        try:
            return Path(PATH.from_text(named))
        except ValueError:
            raise SettingsError(f"{FILE_VARIABLE} must be {PATH.expected}, not {brief(named)}.") from None
    return user_folder("config") / "settings.toml"


def voices_path() -> Path:
    """The file of remembered voices.

    Raises:
        SettingsError: the user has no home folder.
    """
    return user_folder("data") / "voices.json"


def known_voices_path() -> Path | None:
    """The file of remembered voices; None for a user without a home folder, for whom livecap remembers none."""
    try:
        return voices_path()
    except SettingsError:
        return None


def user_folder(kind: str) -> Path:
    """The folder for livecap in the user's home, by the platform's rules.

    Args:
        kind: "config", "data" or "state".

    Raises:
        SettingsError: the user has no home folder.
    """
    try:
        folder = getattr(platformdirs, f"user_{kind}_dir")("livecap", appauthor=False)
    except RuntimeError:
        folder = "~"
    if folder.startswith("~"):
        raise SettingsError(
            "This user has no home folder. Set HOME, or say where the sessions go with --log-dir and where settings "
            f"are with {FILE_VARIABLE}."
        )
    return Path(folder)


def load_settings(flags: Mapping[str, Any], environ: Mapping[str, str] = os.environ) -> Effective:
    """The settings in force.

    Args:
        flags: field to value, for the flags that were given; values are checked already.

    Raises:
        SettingsError: the file cannot be read, or a setting is unknown or has an invalid value.
    """
    values: dict[str, Any] = {}
    origins: dict[str, str] = {}
    try:
        path = settings_path(environ)
    except SettingsError:
        if environ.get(FILE_VARIABLE):
            raise
        path = None  # no home folder, so no settings are stored
    for name, value in _flat(read_file(path) if path else {}, str(path)):
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
    return Effective(Settings(**values, screen=ScreenSettings(**screen), given=frozenset(origins)), origins, path)


def read_file(path: Path) -> dict[str, Any]:
    """The contents of a settings file; empty if there is none.

    Raises:
        SettingsError: the file cannot be read, or is not valid TOML.
    """
    try:
        text = read_regular(path, MOST_BYTES).decode("utf-8-sig")
        if any(found["deep"] for found in _DEEP_KEY.finditer(text)):
            raise tomllib.TOMLDecodeError("a key has too many parts")
        return tomllib.loads(text)
    except FileNotFoundError:
        return {}
    except UnicodeDecodeError:
        raise SettingsError(f"{path} is not text in UTF-8. Save it as UTF-8, or remove it.") from None
    except RecursionError:
        raise SettingsError(f"{path} is nested too deeply. Fix it or remove it.") from None
    except ValueError as error:
        why = error if isinstance(error, tomllib.TOMLDecodeError) else "a number has too many digits"
        raise SettingsError(f"{path} is not valid TOML: {why}. Fix it or remove it.") from None
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
    raise SettingsError(f"{where}: there is no setting {brief(name)}. {_nearest(name[:60], STORED)}")


def _nearest(name: str, known: Iterable[str]) -> str:
    """A sentence with the known name that is most like `name`, or with all of them."""
    names = sorted(known)
    last = {full.rpartition(".")[2]: full for full in reversed(names)}
    end = name.rpartition(".")[2]
    near = [end] if end in last else []
    near = near or difflib.get_close_matches(name, names, n=1) or difflib.get_close_matches(end, last, n=1)
    if near:
        return f"Did you mean {last.get(near[0], near[0])!r}?"
    return f"There are: {', '.join(names)}."


def _named_by(variable: str) -> str | None:
    """The setting that an environment variable gives; None for variables of others."""
    if not variable.startswith(PREFIX) or variable in (FILE_VARIABLE, KEY_VARIABLE):
        return None
    variables = {variable_of(name): name for name in STORED if name != "keys"}
    if variable in variables:
        return variables[variable]
    if variable.startswith(variable_of("keys")):
        raise SettingsError(f"{variable}: keys are read from the settings file only. Use livecap config set keys.NAME.")
    if variable[len(PREFIX) :].lower() in ("output", *get_args(Output)):
        raise SettingsError(f"{variable}: this is not read from the environment. Use --plain, --json or --inline.")
    for name, setting in SETTINGS.items():
        flag = setting.flag.partition(" ")[0]
        if variable in (variable_of(name), variable_of(name.rpartition(".")[2]), variable_of(flag[2:])):
            if setting.stored:
                raise SettingsError(f"There is no setting {variable}. Did you mean {variable_of(name)}?")
            raise SettingsError(f"{variable}: this is not read from the environment. Use {flag}.")
    near = difflib.get_close_matches(variable[len(PREFIX) :], [v[len(PREFIX) :] for v in variables], n=1, cutoff=0.75)
    if near:
        raise SettingsError(f"There is no setting {variable}. Did you mean {PREFIX}{near[0]}?")
    return None


def variable_of(name: str) -> str:
    """The environment variable of a setting."""
    return PREFIX + re.sub("[.-]", "_", name.upper())


def parse_value(name: str, text: str, where: str) -> Any:
    """The value of a stored setting, from text that the user typed.

    Raises:
        SettingsError: no such setting, or an invalid value.
    """
    kind = STORED[require_known(name, where)].kind
    try:
        return kind.from_text(text)
    except ValueError:
        raise SettingsError(f"{where}: {name} must be {kind.expected}, not {brief(text)}.") from None


def _checked(name: str, value: Any, where: str) -> Any:
    """The value of a setting in a file, checked and converted."""
    kind = STORED[name].kind
    try:
        return kind.checked(value)
    except ValueError:
        raise SettingsError(f"{where}: {name} must be {kind.expected}, not {brief(value)}.") from None
