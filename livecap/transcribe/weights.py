"""A short name of a model's weights: other weights under the same name have another one."""

import hashlib
from pathlib import Path

from livecap.files import open_regular


def weights_digest(folder: Path) -> str:
    """A digest of the beginning of each file in a model's folder, and of its size."""
    digest = hashlib.sha256()
    for path in sorted(folder.glob("*")):
        if path.suffix in (".json", ".safetensors", ".txt"):
            digest.update(f"{path.name} {path.stat().st_size}\n".encode())
            with open_regular(path) as file:
                digest.update(file.read(1 << 16))
    return digest.hexdigest()[:16]
