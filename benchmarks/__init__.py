"""Instruments of the project: what they measure is in docs/measuring.md."""

import os

os.environ.setdefault("OPENBLAS_THREAD_TIMEOUT", "20")  # before NumPy is loaded, as in livecap.__main__
