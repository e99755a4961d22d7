"""The names of the colour themes."""

import difflib

from textual.theme import BUILTIN_THEMES

from livecap.errors import SettingsError, brief


def checked_theme(name: str, where: str) -> str:
    """`name`, if it is a theme.

    Args:
        where: where the name is written, for the message of an error.

    Raises:
        SettingsError: there is no such theme.
    """
    if name in BUILTIN_THEMES:
        return name
    near = difflib.get_close_matches(name, BUILTIN_THEMES, n=1)
    hint = f"Did you mean {near[0]!r}?" if near else f"There are: {', '.join(sorted(BUILTIN_THEMES))}."
    raise SettingsError(f"{where}: there is no theme {brief(name)}. {hint}")
