"""Hearing: a sound that is heard once, while it arrives, and whose speakers are found again with each part.

    utterance ─▶ windows of 10 s that end with it: who of three speaks ─▶ pieces and their voices, kept
    pieces of the last minutes ─▶ clusters ─▶ the number of each in the session (numbers.py) ─▶ turns

The networks take nearly all of the time, and they hear each part once: in the window is what was said before it, not
silence. To cluster again what is kept costs little, so a label knows all voices of the last minutes. Used from one
thread.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from livecap.speakers.clustering import Vectors
from livecap.speakers.diariser import FRAMES_PER_SECOND, VoiceDiariser, as_turns, seconds_of, spoken
from livecap.speakers.networks import EMBEDDING_SIZE, FRAME_HOP
from livecap.speakers.numbers import SpeakerNumbers
from livecap.speakers.pieces import Piece, with_one
from livecap.speakers.turns import Turn
from livecap.speakers.windows import (
    MOST_LOCAL,
    SPEAKER_SETS,
    WINDOW_FRAMES,
    WINDOW_SAMPLES,
    Activity,
    Chains,
    frame_of,
    same_people,
)

CONTEXT_FRAMES = round(1.5 * FRAMES_PER_SECOND)
"""Least part of a window that comes from before the utterance, or from the neighbouring window."""
CONTEXT_SAMPLES = WINDOW_SAMPLES
"""Sound before a part that is of use when it is heard."""


@dataclass(frozen=True, slots=True, eq=False)
class EarlyVoice:
    """The voice in a stretch of a part, found before the part had ended."""

    start_sample: int
    end_sample: int
    vector: NDArray[np.float32]
    """[192]"""


@dataclass(eq=False)
class _Part:
    """Frames [start, end) that were heard."""

    start: int
    end: int
    active: Activity
    chains: Chains
    pieces: list[Piece]
    """Those that have a voice, in order."""
    voices: Vectors
    """[n_pieces, 192]"""
    numbers: NDArray[np.int64]
    """[n_pieces] the number in the session that each got last; -1 for none."""


class Hearing:
    """Memory grows by 3 kB for each second of speech that is kept."""

    def __init__(self, diariser: VoiceDiariser, numbers: SpeakerNumbers) -> None:
        """
        Args:
            numbers: of the speakers of this track.
        """
        self._diariser, self._numbers = diariser, numbers
        self._parts: list[_Part] = []
        self._before: tuple[int, Activity, NDArray[np.int32]] | None = None
        """The last window: its first frame, who speaks in it, and the chain of each of the three."""
        self._n_chains = 0

    def hear(
        self, start_sample: int, sound: NDArray[np.float32], first_sample: int, early: EarlyVoice | None = None
    ) -> None:
        """Hear a part that follows the last one.

        Args:
            start_sample: where `sound` begins.
            sound: the part, up to its end, and the 10 s before it as far as there are.
            first_sample: where the part begins. What was heard already is not heard again.
            early: what is known of it. Where one person speaks alone in that stretch, its voice is not found again.
        """
        first = -(-start_sample // FRAME_HOP)
        begin, end = max(first, frame_of(first_sample)), frame_of(start_sample + len(sound))
        if self._parts:
            begin = max(begin, self._parts[-1].end)
        if begin >= end:
            return
        active, chains = self._listen(start_sample, sound, first, begin, end)
        pieces = [
            Piece(piece.start + begin, piece.end + begin, piece.chain)
            for piece in self._diariser.pieces(active, chains)
        ]
        one = None
        if early is not None:
            start, stop = frame_of(early.start_sample), frame_of(early.end_sample)
            if (active[max(0, start - begin) : max(0, stop - begin)].sum(axis=1) <= 1).all():
                shortest = round(self._diariser.config.clear_seconds * FRAMES_PER_SECOND)
                pieces, one = with_one(pieces, start, stop, shortest)
        voices = np.zeros((len(pieces), EMBEDDING_SIZE), np.float32)
        unknown = [i for i in range(len(pieces)) if i != one]
        voices[unknown] = self._diariser.voices(sound, [pieces[i] for i in unknown], start_sample)
        if early is not None and one is not None:
            voices[one] = early.vector
        known = np.flatnonzero(voices.any(axis=1))
        pieces = [pieces[i] for i in known.tolist()]
        self._parts.append(_Part(begin, end, active, chains, pieces, voices[known], np.full(len(pieces), -1, np.int64)))

    def turns(self, start_sample: int, end_sample: int) -> list[Turn]:
        """Who speaks in what was heard of [start_sample, end_sample), with numbers of the session."""
        parts = self._parts
        if not any(part.pieces for part in parts):
            return []
        pieces = [piece for part in parts for piece in part.pieces]
        voices = np.concatenate([part.voices for part in parts])
        groups = np.unique(self._diariser.grouped(pieces, voices)[1], return_inverse=True)[1]
        before = np.concatenate([part.numbers for part in parts])
        numbers, is_sure = self._numbers.of_groups(groups, voices, seconds_of(pieces), before)
        kept = np.where(is_sure, numbers, -1)[groups]
        for part, some in zip(parts, np.split(kept, np.cumsum([len(part.pieces) for part in parts])[:-1]), strict=True):
            part.numbers = some
        who = numbers[groups]
        wanted = [part for part in parts if part.start < frame_of(end_sample) and part.end > frame_of(start_sample)]
        return [turn for part in wanted for turn in self._turns(part, pieces, who)]

    def _turns(self, part: _Part, pieces: Sequence[Piece], who: NDArray[np.int64]) -> list[Turn]:
        """The turns in one part. Where two speak, pieces of other parts tell who they are."""
        names, columns = np.unique(who, return_inverse=True)
        moved = [Piece(piece.start - part.start, piece.end - part.start, piece.chain) for piece in pieces]
        frames = spoken(part.active, part.chains, moved, columns)
        n_samples = (part.end - part.start + 2) * FRAME_HOP
        offset = part.start * FRAME_HOP
        return [
            Turn(turn.start + offset, turn.end + offset, int(names[turn.speaker]))
            for turn in as_turns(frames, self._diariser.config, n_samples)
        ]

    def forget(self, before_sample: int) -> None:
        """Forget parts that end before this. What they tell of voices is kept."""
        while self._parts and self._parts[0].end <= frame_of(before_sample):
            part = self._parts.pop(0)
            self._numbers.learn(part.numbers, part.voices, seconds_of(part.pieces))

    def _listen(
        self, start_sample: int, sound: NDArray[np.float32], first: int, begin: int, end: int
    ) -> tuple[Activity, Chains]:
        """Who speaks in the frames [begin, end) [n, 3], and the chain of each of the three (`windows.joined`)."""
        starts = window_starts(first, begin, end)
        sounds = np.zeros((len(starts), WINDOW_SAMPLES), np.float32)
        for row, start in zip(sounds, starts, strict=True):
            part = sound[start * FRAME_HOP - start_sample :][:WINDOW_SAMPLES]
            row[: len(part)] = part
        heard = SPEAKER_SETS[self._diariser.networks.segment(sounds).argmax(axis=-1)]
        active = np.zeros((end - begin, MOST_LOCAL), bool)
        chains = np.zeros((end - begin, MOST_LOCAL), np.int32)
        at = begin
        for i, (start, window) in enumerate(zip(starts, heard, strict=True)):
            own = self._chains(start, window)
            stop = end if i + 1 == len(starts) else (starts[i + 1] + start + WINDOW_FRAMES) // 2
            active[at - begin : stop - begin] = window[at - start : stop - start]
            chains[at - begin : stop - begin] = own
            at = stop
        return active, chains

    def _chains(self, start: int, window: Activity) -> NDArray[np.int32]:
        """The chain of each of the three in a window: that of the same person in the window before, or a new one."""
        own = np.arange(self._n_chains, self._n_chains + MOST_LOCAL, dtype=np.int32)
        self._n_chains += MOST_LOCAL
        if self._before is not None and 0 <= (shift := start - self._before[0]) < WINDOW_FRAMES:
            _, before, chains = self._before
            same = same_people(before[shift:], window[: WINDOW_FRAMES - shift])
            own = np.where(same >= 0, chains[same], own)
        self._before = start, window, own
        return own


def window_starts(first: int, begin: int, end: int) -> list[int]:
    """The frames at which windows begin that hear the frames [begin, end), so that the last one ends with them.

    Args:
        first: the frame from which on there is sound.
    """
    last = max(first, end - WINDOW_FRAMES)
    earliest = min(max(first, begin - CONTEXT_FRAMES), last)
    n_more = -(-(last - earliest) // (WINDOW_FRAMES - 2 * CONTEXT_FRAMES))
    return [last - (last - earliest) * i // n_more for i in range(n_more, 0, -1)] + [last]
