"""Windows of 10 s: who of at most three people speaks in each frame, and who is the same person in the next window.

    |------------ window 0 ------------|
                     |------------ window 1 ------------|
                                      |------------ window 2 ------------|
    |---- owned by 0 ----------|
                               |-- owned by 1 --|-- owned by 2 ----------|

A frame has 270 samples. Windows begin at multiples of `STEP_FRAMES`, so all of them share one grid of frames.
"""

from collections.abc import Iterator
from itertools import permutations

import numpy as np
from numpy.typing import NDArray

from livecap.speakers.networks import FRAME_HOP, FRAME_MIDDLE, VoiceNetworks, n_frames
from livecap.speakers.turns import Sound
from livecap.transcript import SAMPLE_RATE

WINDOW_SAMPLES = 10 * SAMPLE_RATE
WINDOW_FRAMES = n_frames(WINDOW_SAMPLES)
STEP_FRAMES = 296
"""From one window to the next, 5 s: each frame is seen twice."""
STEP_SAMPLES = STEP_FRAMES * FRAME_HOP
MARGIN_FRAMES = (WINDOW_FRAMES - STEP_FRAMES) // 2
"""Frames at each end of a window that a neighbour knows better."""
FIRST_EDGE = FRAME_MIDDLE - FRAME_HOP // 2
"""The sample at which the first frame of a window begins."""
MOST_LOCAL = 3
"""Most people that the network tells apart in one window."""
SPEAKER_SETS = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 0], [1, 0, 1], [0, 1, 1]], dtype=bool)
"""Who speaks in each class of the segmentation [7, 3]."""
_WINDOWS_AT_ONCE = 16
"""Bounds memory, and makes the products of the LSTM large enough."""
_FEWEST_COMMON = 6
"""Frames, 0.1 s, that two people must share to be the same in two windows."""

Activity = NDArray[np.bool_]
Chains = NDArray[np.int32]


def sample_of(frame: int) -> int:
    """The sample at which a frame of the sound begins."""
    return FIRST_EDGE + frame * FRAME_HOP


def frame_of(sample: int) -> int:
    """The frame of the sound that begins at this sample or is the first one after it; at least 0."""
    return max(0, -(-(sample - FIRST_EDGE) // FRAME_HOP))


def windows(networks: VoiceNetworks, samples: Sound) -> Iterator[Activity]:
    """Who speaks in each window [589, 3], in order; the last ones are filled with silence."""
    n_windows = 1 + max(0, -(-(len(samples) - WINDOW_SAMPLES) // STEP_SAMPLES))
    for first in range(0, n_windows, _WINDOWS_AT_ONCE):
        numbers = range(first, min(first + _WINDOWS_AT_ONCE, n_windows))
        sounds = np.zeros((len(numbers), WINDOW_SAMPLES), np.float32)
        for row, number in zip(sounds, numbers, strict=True):
            part = samples[number * STEP_SAMPLES : number * STEP_SAMPLES + WINDOW_SAMPLES]
            row[: len(part)] = part
        yield from SPEAKER_SETS[networks.segment(sounds).argmax(axis=-1)]


def joined(heard: Iterator[Activity], n_samples: int) -> tuple[Activity, Chains]:
    """All windows as one.

    Returns:
        Who speaks in each frame of the sound [n, 3], and the chain of each of the three [n, 3]. A chain is one person,
        as far as windows that overlap agree. A person may have several chains. Where the windows took two people for
        one, they are in one chain.
    """
    n = frame_of(n_samples)
    active: list[Activity] = []
    chains: list[Chains] = []
    before, its_chains, n_chains, filled = None, np.arange(MOST_LOCAL, dtype=np.int32), MOST_LOCAL, 0
    for number, window in enumerate(heard):
        if before is not None:
            # Up to here the window before knows better.
            take = number * STEP_FRAMES + MARGIN_FRAMES - filled
            at = filled - (number - 1) * STEP_FRAMES
            active.append(before[at : at + take])
            chains.append(np.broadcast_to(its_chains, (take, MOST_LOCAL)))
            filled += take
            same = same_people(before[STEP_FRAMES:], window[: WINDOW_FRAMES - STEP_FRAMES])
            new = np.arange(n_chains, n_chains + MOST_LOCAL, dtype=np.int32)
            its_chains = np.where(same >= 0, its_chains[same], new)
            n_chains += MOST_LOCAL
        before, last = window, number
    assert before is not None, "a sound has at least one window"
    active.append(before[filled - last * STEP_FRAMES :])
    chains.append(np.broadcast_to(its_chains, (len(active[-1]), MOST_LOCAL)))
    return np.concatenate(active)[:n], np.concatenate(chains)[:n]


def same_people(before: Activity, after: Activity) -> NDArray[np.int64]:
    """Which person of `before` [n, 3] each person of `after` [n, 3] is, in the frames that both windows hear; or -1."""
    common = before.T.astype(np.int64) @ after.astype(np.int64)
    best = max(permutations(range(MOST_LOCAL)), key=lambda some: sum(common[k, i] for i, k in enumerate(some)))
    return np.array([k if common[k, i] >= _FEWEST_COMMON else -1 for i, k in enumerate(best)])
