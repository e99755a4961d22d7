"""Files that a benchmark leaves behind."""

from collections.abc import Callable
from pathlib import Path

from livecap.errors import LogError


def write_file(path: Path, write: Callable[[Path], object]) -> None:
    """Lets `write` make the file, in a folder that exists by then.

    Raises:
        LogError: it cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write(path)
    except OSError as error:
        raise LogError(f"Cannot write {path}: {error.strerror}. Give another file.") from None
