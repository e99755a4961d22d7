"""A short name of a model's weights: other weights under the same name have another one."""

import hashlib
import os
from pathlib import Path

from livecap.files import open_regular

BEGINNING_BYTES = 1 << 16
SAMPLES, SAMPLE_BYTES = 256, 1 << 12
"""Pieces of the arrays that are read where the beginning of a file holds none of them, and their length."""


def weights_digest(folder: Path) -> str:
    """A digest of the beginning of each file in a model's folder, and of its size. The list of arrays at the beginning
    of a large model's weights is longer than that; there, pieces from all over the file count too."""
    digest = hashlib.sha256()
    for path in sorted(folder.glob("*")):
        if path.suffix in (".json", ".safetensors", ".txt") and path.is_file():
            digest.update(f"{path.name} {path.stat().st_size}\n".encode())
            with open_regular(path) as file:
                beginning = file.read(BEGINNING_BYTES)
                digest.update(beginning)
                first, size = 8 + int.from_bytes(beginning[:8], "little"), os.fstat(file.fileno()).st_size
                if path.suffix == ".safetensors" and BEGINNING_BYTES <= first < size:
                    for n in range(SAMPLES):
                        file.seek(first + max(0, size - first - SAMPLE_BYTES) * n // (SAMPLES - 1))
                        digest.update(file.read(SAMPLE_BYTES))
    return digest.hexdigest()[:16]
