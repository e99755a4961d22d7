"""Values of options that several commands take."""

import argparse
import math


def pace(text: str) -> float | None:
    """Times real time; None for `max`."""
    if text == "max":
        return None
    try:
        times = float(text)
    except ValueError:
        times = math.nan
    if not (math.isfinite(times) and times > 0):
        raise argparse.ArgumentTypeError(f"{text!r} is no pace: give a number above 0, or max")
    return times
