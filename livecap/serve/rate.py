"""Rate: how often one client may ask."""

import time
from collections import OrderedDict
from collections.abc import Callable

MOST_A_MINUTE = 6000
"""Requests and connections of one client. No honest client is known that sends so many, and a client that does leaves
most of the time of the server to others."""
MOST_CLIENTS = 10_000
"""Clients that are remembered; beyond that the one that has not asked for longest is forgotten."""


class Rate:
    """Counts requests, on one thread. A client may send a minute's requests at once, then as they become due."""

    def __init__(self, most_a_minute: float = MOST_A_MINUTE, clock: Callable[[], float] = time.monotonic) -> None:
        """
        Args:
            clock: seconds.
        """
        self._seconds_each = 60 / most_a_minute
        self._clock = clock
        self._free_at: OrderedDict[str, float] = OrderedDict()
        """Client to when all its requests would have been due; the one that asked last at the end."""

    def wait(self, client: str) -> float:
        """Count a request; returns 0.0, or the seconds after which the client may ask again if this is one too many."""
        now = self._clock()
        free_at = max(self._free_at.pop(client, now), now)
        wait = max(free_at + self._seconds_each - now - 60, 0.0)
        self._free_at[client] = free_at if wait else free_at + self._seconds_each
        if len(self._free_at) > MOST_CLIENTS:
            self._free_at.popitem(last=False)
        return wait
