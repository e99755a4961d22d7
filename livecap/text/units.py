"""Durations, sizes and counts as people write them."""


def length_of_time(seconds: float) -> str:
    """`40 s`, `12 min`, `1 h 5 min`."""
    minutes = round(seconds / 60)
    if seconds < 60:
        return f"{seconds:.0f} s"
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def size(n_bytes: float) -> str:
    """`812 kB`, `1.9 GB`."""
    for unit, scale in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if n_bytes >= scale:
            return f"{n_bytes / scale:.1f} {unit}" if n_bytes < 10 * scale else f"{n_bytes / scale:.0f} {unit}"
    return f"{n_bytes:.0f} B"


def matches(n: int) -> str:
    """`no matches`, `1 match`, `5 matches`."""
    return f"{n or 'no'} {'match' if n == 1 else 'matches'}"
