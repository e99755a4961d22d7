"""Files that a measurement leaves behind: figures as JSON, or a drawing."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from livecap.errors import LogError


def as_json(figures: Mapping[str, Any]) -> str:
    """Figures as indented JSON, as they are printed and stored."""
    return json.dumps(figures, indent=2, ensure_ascii=False)


def store_figures(path: Path, figures: Mapping[str, Any]) -> None:
    """Write figures to a file as JSON. Raises LogError where that fails."""
    write_text(path, as_json(figures) + "\n")


def write_text(path: Path, text: str) -> None:
    """Write a file, and make the folder where it is missing.

    Raises:
        LogError: the file cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise LogError(f"Cannot write {path}: {error.strerror}. Choose another file.") from None
