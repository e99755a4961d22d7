"""The text files of a checkpoint, from anyone: only regular files are read, and size, depth and number of values have
bounds, so that an absurd file costs neither memory nor time.
"""

import json
from pathlib import Path

from livecap.errors import ModelError
from livecap.files import read_regular

AGAIN = "Download the model again."
MOST_BYTES = {
    "tokenizer.json": 48 << 20,
    "vocab.json": 16 << 20,
    "merges.txt": 12 << 20,
    "tokenizer_config.json": 8 << 20,
    "model.safetensors.index.json": 4 << 20,
}
"""The largest files that are read, at least four times the released ones."""
MOST_BYTES_OF_OTHERS = 1 << 20
MOST_VALUES = 2_000_000
"""Values in a JSON text; the largest released file has 600,000."""
MOST_DEPTH = 64


def read_bytes(path: Path) -> bytes:
    """The contents of a file of a checkpoint.

    Raises:
        ModelError: the file is missing, cannot be read, is larger than `MOST_BYTES`, or is not a regular file.
    """
    try:
        return read_regular(path, MOST_BYTES.get(path.name, MOST_BYTES_OF_OTHERS))
    except FileNotFoundError:
        raise ModelError(f"{path.parent} has no {path.name}: not a complete Qwen3-ASR checkpoint.") from None
    except OSError as error:
        raise ModelError(f"{path} cannot be read: {error.strerror}.") from error


def read_json(path: Path, required: bool = True) -> dict[str, object]:
    """The object in a JSON file; empty if the file is missing and not `required`.

    Raises:
        ModelError: as `read_bytes`, or the file is not JSON, not an object, or too large in some way.
    """
    if not required and not path.exists():
        return {}
    try:
        value = parse_json(read_bytes(path))
    except ValueError as error:
        raise ModelError(f"{path} is damaged: {error}. {AGAIN}") from error
    if not isinstance(value, dict):
        raise ModelError(f"{path} is damaged: expected a JSON object, found {type(value).__name__}.")
    return value


def parse_json(data: bytes) -> object:
    """The value of a JSON text in UTF-8, with or without a byte order mark.

    Raises:
        ValueError: its message says what the text is, such as "not JSON" or "nested too deeply".
    """
    if sum(data.count(sign) for sign in (b",", b"[", b"{")) > MOST_VALUES:
        raise ValueError(f"too large, with more than {MOST_VALUES:,} values")
    try:
        value = json.loads(data.decode("utf-8-sig"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"not JSON ({error})") from error
    except RecursionError:
        raise ValueError("nested too deeply") from None
    except ValueError:
        raise ValueError("not JSON that can be read: a number has thousands of digits") from None
    values = [value]
    for _ in range(MOST_DEPTH):
        lists = [value for value in values if isinstance(value, list)]
        lists += [list(value.values()) for value in values if isinstance(value, dict)]
        values = [value for inner in lists for value in inner]
        if not values:
            return value
    raise ValueError("nested too deeply")
