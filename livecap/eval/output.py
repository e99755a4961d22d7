"""Files that a measurement leaves behind: figures as JSON, or a drawing."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from livecap.errors import LogError
from livecap.files import make_folder, replace_file
from livecap.text.safety import json_text


def as_json(figures: Mapping[str, Any]) -> str:
    """Figures as indented JSON, as they are printed and stored."""
    return json_text(figures, indent=2)


def store_figures(path: Path, figures: Mapping[str, Any]) -> None:
    """Write figures to a file as JSON. Raises LogError where that fails."""
    write_text(path, as_json(figures) + "\n")


def write_text(path: Path, text: str) -> None:
    """Write a file of mode 0600, and make the folder where it is missing.

    Raises:
        LogError: the file cannot be written.
    """
    try:
        make_folder(path.parent)
        replace_file(path, [text])
    except OSError as error:
        raise LogError(f"Cannot write {path}: {error.strerror}. Choose another file.") from None
