"""Questions to a person at a terminal."""

import sys


def asked(question: str) -> str:
    """What a person answers, in lower case; "" at the end of the input. `input` would ask on standard error."""
    print(question, end="", flush=True)
    return sys.stdin.readline().strip().lower()
