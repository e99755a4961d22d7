"""Pieces: stretches in which one person speaks alone, short enough to hold one voice."""

from dataclasses import dataclass

import numpy as np

from livecap.speakers.windows import MOST_LOCAL, Activity, Chains

_LEAST_SHARE = 0.6
"""Least share of speech in a stretch; with less, its voice is not used for the pieces in it."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of frames."""

    start: int
    end: int
    chain: int
    """The person, as far as windows agree (`windows.joined`)."""

    @property
    def length(self) -> int:
        return self.end - self.start


def solo_pieces(active: Activity, chains: Chains, pause: int, longest: int) -> list[Piece]:
    """Where one person speaks alone, in order.

    Args:
        active: who speaks [n, 3].
        chains: the chain of each [n, 3].
        pause: shorter pauses, in frames, do not end a piece.
        longest: longer stretches are divided evenly.
    """
    alone = active.sum(axis=1) == 1
    who = np.where(alone, chains[np.arange(len(chains)), active.argmax(axis=1)], -1)
    who[active.sum(axis=1) > 1] = -2
    edges = np.flatnonzero(np.diff(who, prepend=-3, append=-3))
    found: list[Piece] = []
    for start, end in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True):
        chain = int(who[start])
        if chain < 0:
            continue
        last = found[-1] if found else None
        if last and last.chain == chain and start - last.end < pause and (who[last.end : start] == -1).all():
            found[-1] = Piece(last.start, end, chain)
        else:
            found.append(Piece(start, end, chain))
    return [part for piece in found for part in _divided(piece, longest)]


def stretches(active: Activity, chains: Chains) -> list[Piece]:
    """Where each chain is active, alone or not, in order of start."""
    found: list[Piece] = []
    for local in range(MOST_LOCAL):
        who = np.where(active[:, local], chains[:, local], -1)
        edges = np.flatnonzero(np.diff(who, prepend=-2, append=-2))
        spans = zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True)
        found += [Piece(start, end, int(who[start])) for start, end in spans if who[start] >= 0]
    return sorted(found, key=lambda piece: (piece.start, piece.end))


def with_one(pieces: list[Piece], start: int, end: int, shortest: int) -> tuple[list[Piece], int | None]:
    """The pieces, of which those in [start, end) are joined, and which one that is. Where there is a pause or another
    chain between them, or too little of them, they stay as they were, and it is None.

    Args:
        shortest: what reaches out by less than this, in frames, stays with it.
    """
    inside = [i for i, piece in enumerate(pieces) if piece.start < end and piece.end > start]
    length = sum(min(pieces[i].end, end) - max(pieces[i].start, start) for i in inside)
    is_one = all(pieces[i].end == pieces[i + 1].start and pieces[i].chain == pieces[i + 1].chain for i in inside[:-1])
    if not inside or not is_one or length < _LEAST_SHARE * (end - start):
        return pieces, None
    first, last = pieces[inside[0]], pieces[inside[-1]]
    begin = start if start - first.start >= shortest else first.start
    stop = end if last.end - end >= shortest else last.end
    edges = [(first.start, begin), (begin, stop), (stop, last.end)]
    parts = [Piece(a, b, first.chain) for a, b in edges if a < b]
    return [*pieces[: inside[0]], *parts, *pieces[inside[-1] + 1 :]], inside[0] + (begin > first.start)


def _divided(piece: Piece, longest: int) -> list[Piece]:
    n = max(1, -(-piece.length // longest))
    edges = [piece.start + piece.length * i // n for i in range(n + 1)]
    return [Piece(start, end, piece.chain) for start, end in zip(edges[:-1], edges[1:], strict=True)]
