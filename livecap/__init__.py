"""Live captions and notes from a microphone, from the system's sound or from a recording."""

import os

# NumPy's OpenBLAS reads this when NumPy is loaded: 2**20 cycles, a third of a millisecond. By default its threads go
# round for 20 ms after a product, waiting for the next, on the very core that other work was given.
os.environ.setdefault("OPENBLAS_THREAD_TIMEOUT", "20")
