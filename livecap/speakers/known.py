"""Whose voice it is: the turns of one sound, counted and compared with voices that are known."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from livecap.speakers.counts import Counts
from livecap.speakers.turns import Diariser, Sound, Turn
from livecap.transcript import SAMPLE_RATE

MOST_SAMPLES = 30 * SAMPLE_RATE
"""As much of a speaker is compared."""
LEAST_SAMPLES = SAMPLE_RATE
"""With less than this, a voice is not known well enough."""
Known = Mapping[str, NDArray[np.float32]]
"""Name to the voice of a person, as a unit vector."""
ALIKE = 0.5
"""Voices at least so alike are of one person, by the scalar product of their vectors."""


def counted_turns(diariser: Diariser, sound: Sound, counts: Counts) -> list[Turn]:
    """Who speaks when, with what is known about the number of speakers."""
    return diariser.turns(sound, speakers=counts.exactly, at_least=counts.at_least or 1, at_most=counts.at_most)


def voice_of(diariser: Diariser, sound: Sound, turns: Sequence[Turn]) -> NDArray[np.float32] | None:
    """The voice of one speaker in stretches of theirs (see `alone`), the longest first, as a unit vector; None if they
    are shorter than `LEAST_SAMPLES` together."""
    pieces: list[NDArray[np.float32]] = []
    n_samples = 0
    for turn in sorted(turns, key=lambda turn: turn.start - turn.end):
        if n_samples >= MOST_SAMPLES:
            break
        pieces.append(sound[turn.start : min(turn.end, turn.start + MOST_SAMPLES - n_samples)])
        n_samples += len(pieces[-1])
    return diariser.embed(np.concatenate(pieces)) if n_samples >= LEAST_SAMPLES else None


def known_names(diariser: Diariser, sound: Sound, turns: Sequence[Turn], known: Known) -> dict[int, str]:
    """The names of the speakers whose voices are known. A name goes to the speaker whose voice is most alike, and a
    speaker has one name."""
    if not known:
        return {}
    alike: list[tuple[float, int, str]] = []
    for speaker in sorted({turn.speaker for turn in turns}):
        voice = voice_of(diariser, sound, alone(turns, speaker))
        if voice is not None:
            alike += [(float(voice @ other), speaker, name) for name, other in known.items()]
    names: dict[int, str] = {}
    for likeness, speaker, name in sorted(alike, key=lambda each: -each[0]):
        if likeness >= ALIKE and speaker not in names and name not in names.values():
            names[speaker] = name
    return names


def known_as(vector: NDArray[np.float32], known: Known) -> str:
    """The name of the remembered voice that is most alike; "" if none is alike."""
    likeness, name = max(((float(vector @ other), name) for name, other in known.items()), default=(0.0, ""))
    return name if likeness >= ALIKE else ""


def alone(turns: Sequence[Turn], speaker: int) -> list[Turn]:
    """The stretches in which only this speaker speaks; if there are none, all of theirs."""
    ordered = sorted(turns, key=lambda turn: turn.start)
    own = [turn for turn in ordered if turn.speaker == speaker]
    others = [turn for turn in ordered if turn.speaker != speaker]
    alone: list[Turn] = []
    first = 0
    for turn in own:
        start = turn.start
        while first < len(others) and others[first].end <= start:
            first += 1  # it ends before this turn and so before all later ones
        for at in range(first, len(others)):
            other = others[at]
            if other.start >= turn.end:
                break
            if other.end <= start:
                continue
            if other.start > start:
                alone.append(Turn(start, other.start, speaker))
            start = max(start, other.end)
        if start < turn.end:
            alone.append(Turn(start, turn.end, speaker))
    return alone or own
