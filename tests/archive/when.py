"""The time at which every session of these tests starts."""

from datetime import datetime

STARTED = datetime(2026, 3, 1, 10, 2, 3)
