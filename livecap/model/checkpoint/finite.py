"""Whether the numbers of weight files are finite. A network with one NaN in a layer recognises nothing."""

from pathlib import Path

from livecap.files import open_regular
from livecap.model.files import parse_json

EXPONENTS = {"BF16": ("<u2", 0x7F80), "F16": ("<u2", 0x7C00), "F32": ("<u4", 0x7F800000)}
"""Element type to the integers of its size and the bits of its exponent: all are set in NaN and infinite numbers."""
MOST_AT_ONCE = 1 << 22
"""Numbers that are in memory at once."""


def not_finite(path: Path) -> str | None:
    """The first array of a whole safetensors file that holds a NaN or an infinite number; None if there is none.

    Reads all of the file.
    """
    import numpy as np  # late: `livecap models` needs it for this only

    with open_regular(path) as file:
        n_header = int.from_bytes(file.read(8), "little")
        header = parse_json(file.read(n_header))
        assert isinstance(header, dict), "the file was checked"
        for name, entry in header.items():
            if name == "__metadata__" or entry["dtype"] not in EXPONENTS:
                continue
            integers, exponent = EXPONENTS[entry["dtype"]]
            start, stop = entry["data_offsets"]
            file.seek(8 + n_header + start)
            left = (stop - start) // np.dtype(integers).itemsize
            while left:
                numbers = np.fromfile(file, integers, min(left, MOST_AT_ONCE))
                if (numbers & exponent == exponent).any():
                    return str(name)
                left -= len(numbers)
    return None
