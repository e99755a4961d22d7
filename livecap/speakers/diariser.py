"""Diariser: a whole sound to turns.

    sound ─▶ windows of 10 s: who of three speaks (windows.py) ─▶ pieces in which one person speaks alone (pieces.py)
          ─▶ the voice of each piece ─▶ clusters: speakers (clustering.py) ─▶ each frame gets its speakers ─▶ turns

The windows tell where there is speech and where two people speak, but they may take two people for one. So speakers
are found by the voices of short pieces. Memory grows by about 2 kB for every 2 s of speech.
"""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from livecap.model.backend import on_cpu
from livecap.speakers.clustering import Items, Numbers, Vectors, centroids, cluster, in_order, unit
from livecap.speakers.fbank import log_mel
from livecap.speakers.mlx_networks import MLXNetworks
from livecap.speakers.networks import EMBEDDING_SIZE, FEWEST_FRAMES, FRAME_HOP, VoiceNetworks
from livecap.speakers.numpy_networks import NumpyNetworks
from livecap.speakers.one_core import one_core
from livecap.speakers.pieces import Piece, solo_pieces, stretches
from livecap.speakers.turns import Sound, Turn
from livecap.speakers.windows import Activity, Chains, joined, sample_of, windows
from livecap.transcript import SAMPLE_RATE

FRAMES_PER_SECOND = SAMPLE_RATE / FRAME_HOP
ONLY_THE_SAME = 1.01
"""A likeness that no two voices have: clusters are merged only where there are too many."""


@dataclass(frozen=True, slots=True)
class DiariserConfig:
    """Durations are in seconds, likenesses are cosines."""

    alike: float = 0.7
    """Clusters are one speaker if their mean cosine is at least this share of that of neighbouring pieces of speech."""
    least_alike: float = 0.3
    most_alike: float = 0.55
    """Bounds of the mean cosine that follows."""
    usual_likeness: float = 0.65
    """The likeness of neighbouring pieces where there are none to compare."""
    usual_pairs: int = 4
    """Number of pairs of neighbours that weigh as much as `usual_likeness`."""
    pause_seconds: float = 0.1
    """A longer pause ends a piece: the speaker may change in it."""
    piece_seconds: float = 2.5
    """Longer pieces are divided: the speaker may change unnoticed."""
    clear_seconds: float = 0.6
    """Pieces of this length decide who the speakers are; the others are only assigned."""
    fewest_seconds: float = 0.2
    """Shorter pieces have no voice: they get the speaker of the nearest piece of the same person."""
    speaker_seconds: float = 2.0
    speaker_share: float = 0.05
    """A speaker heard for less than both, the second as a share of all speech, is taken for the nearest other."""
    same_person: float = 0.1
    """Added to the likeness of a piece and the speaker of its neighbour, if the windows take them for one person."""
    gap_seconds: float = 0.5
    """A speaker's pauses up to this long are within one turn."""
    turn_seconds: float = 0.15
    """Shorter turns are left out."""
    most_items: int = 1500
    """Voices clustered at once; bounds memory and time."""
    most_gathered: int = 150
    """In longer sound, the voices of each such stretch are first clustered to at most this many."""


class VoiceDiariser:
    """See `livecap.speakers.turns.Diariser`. Used by one thread at a time."""

    def __init__(self, networks: VoiceNetworks, config: DiariserConfig | None = None) -> None:
        self.networks = networks
        self.config = config or DiariserConfig()

    def turns(
        self, samples: Sound, *, speakers: int | None = None, at_least: int = 1, at_most: int | None = None
    ) -> list[Turn]:
        if speakers is not None:
            at_least = at_most = speakers
        active, chains = joined(windows(self.networks, samples), len(samples))
        pieces = self.pieces(active, chains)
        kept, who = self.grouped(pieces, self.voices(samples, pieces), at_least, at_most)
        return in_order_of_start(as_turns(spoken(active, chains, kept, who), self.config, len(samples)))

    def embed(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        with one_core():
            frames = log_mel(np.ascontiguousarray(samples, np.float32))
            if len(frames) < FEWEST_FRAMES:
                more = ((0, FEWEST_FRAMES - len(frames)), (0, 0))
                frames = np.pad(frames, more, mode="edge") if len(frames) else np.zeros((FEWEST_FRAMES, 80), np.float32)
            return unit(self.networks.embed(frames))

    def pieces(self, active: Activity, chains: Chains) -> list[Piece]:
        """The pieces of a sound whose speakers are to be found."""
        pause, longest = (
            round(seconds * FRAMES_PER_SECOND) for seconds in (self.config.pause_seconds, self.config.piece_seconds)
        )
        return solo_pieces(active, chains, pause, longest)

    def voices(self, samples: Sound, pieces: Sequence[Piece], start_sample: int = 0) -> Vectors:
        """The voice of each piece [n, 192]; zeros for those that are too short.

        Args:
            start_sample: where `samples` begins, on the clock of the pieces.
        """
        found = np.zeros((len(pieces), EMBEDDING_SIZE), np.float32)
        fewest = self.config.fewest_seconds * FRAMES_PER_SECOND
        for row, piece in zip(found, pieces, strict=True):
            if piece.length >= fewest:
                start, end = (max(0, sample_of(frame) - start_sample) for frame in (piece.start, piece.end))
                row[:] = self.embed(samples[start:end])
        return found

    def grouped(
        self, pieces: Sequence[Piece], voices: Vectors, at_least: int = 1, at_most: int | None = None
    ) -> tuple[Sequence[Piece], Numbers]:
        """The pieces that have a voice, and the speaker of each; where none has one, all, of one speaker."""
        known = np.flatnonzero(voices.any(axis=1))
        if not len(known):
            return pieces, np.zeros(len(pieces), np.int64)
        kept = [pieces[i] for i in known.tolist()]
        seconds = seconds_of(kept)
        means = self._speakers(voices[known], seconds, self._alike(kept, voices[known]), at_least, at_most)
        return kept, self._assigned(kept, voices[known] @ means.T, seconds)

    def _alike(self, pieces: Sequence[Piece], voices: Vectors) -> float:
        """The mean cosine from which on two clusters are one speaker in this sound.

        In a studio, a voice is much more alike with itself than in an echoing room. How much is told by the pieces into
        which long stretches of speech were divided: most neighbours are the same person.
        """
        config = self.config
        likeness = [
            float(voices[i] @ voices[i + 1])
            for i, (piece, after) in enumerate(zip(pieces[:-1], pieces[1:], strict=True))
            if piece.end == after.start and piece.chain == after.chain
        ]
        n = len(likeness)
        usual = (n * float(np.median(likeness or [0])) + config.usual_pairs * config.usual_likeness) / (
            n + config.usual_pairs
        )
        return min(max(config.alike * usual, config.least_alike), config.most_alike)

    def _speakers(
        self, voices: Vectors, seconds: NDArray[np.float32], alike: float, at_least: int, at_most: int | None
    ) -> Vectors:
        """The mean voice of each speaker."""
        config = self.config
        clear = seconds >= config.clear_seconds
        if clear.sum() < max(1, at_least):
            clear[:] = True
        items = Items(voices[clear], seconds[clear])
        while len(items.vectors) > config.most_items:
            items = self._gathered(items)
        labels = cluster(items, alike, at_least, at_most)
        return centroids(items, self._without_small(items, labels, at_least))

    def _gathered(self, items: Items) -> Items:
        """The items of each stretch of sound that are most alike, as one."""
        vectors, weights = [], []
        for start in range(0, len(items.vectors), self.config.most_items):
            some = slice(start, start + self.config.most_items)
            part = Items(items.vectors[some], items.weights[some])
            labels = cluster(part, ONLY_THE_SAME, at_most=self.config.most_gathered)
            vectors.append(centroids(part, labels))
            weights.append(np.bincount(labels, part.weights).astype(np.float32))
        return Items(np.concatenate(vectors), np.concatenate(weights))

    def _without_small(self, items: Items, labels: Numbers, at_least: int) -> Numbers:
        """Without speakers that are heard too little."""
        heard = np.bincount(labels, items.weights)
        fewest = min(self.config.speaker_seconds, self.config.speaker_share * float(heard.sum()))
        kept = np.flatnonzero(heard >= fewest)
        if len(kept) < at_least:
            kept = np.argsort(-heard, kind="stable")[:at_least]
        likeness = items.vectors @ centroids(items, labels)[kept].T
        return in_order(np.where(np.isin(labels, kept), labels, kept[likeness.argmax(axis=1)]))

    def _assigned(
        self, pieces: Sequence[Piece], likeness: NDArray[np.float32], seconds: NDArray[np.float32]
    ) -> Numbers:
        """The speaker of each piece: the most alike, with some preference for that of the nearest clear piece of the
        same person."""
        who: Numbers = likeness.argmax(axis=1)
        clear = seconds >= self.config.clear_seconds
        by_chain: dict[int, list[int]] = {}
        for i in np.flatnonzero(clear).tolist():
            by_chain.setdefault(pieces[i].chain, []).append(i)
        for i in np.flatnonzero(~clear).tolist():
            same = by_chain.get(pieces[i].chain)
            if same:
                near = _nearest(pieces, same, pieces[i])
                preferred = likeness[i].copy()
                preferred[who[near]] += self.config.same_person / max(float(seconds[i]), 0.2)
                who[i] = preferred.argmax()
        return who


def load_diariser() -> VoiceDiariser:
    """A diariser with the weights of the package, in the arithmetic for this machine."""
    return VoiceDiariser(NumpyNetworks() if on_cpu else MLXNetworks())


def _nearest(pieces: Sequence[Piece], some: Sequence[int], to: Piece) -> int:
    """Which of some pieces, given by their numbers in order, is the nearest one to another stretch."""
    after = bisect_left(some, to.start, key=lambda i: pieces[i].start)
    return min(
        some[max(0, after - 1) : after + 1], key=lambda i: max(pieces[i].start - to.end, to.start - pieces[i].end)
    )


def seconds_of(pieces: Sequence[Piece]) -> NDArray[np.float32]:
    """[n] how long each piece is."""
    return np.array([piece.length for piece in pieces], np.float32) / np.float32(FRAMES_PER_SECOND)


def spoken(active: Activity, chains: Chains, pieces: Sequence[Piece], who: Numbers) -> Activity:
    """Who speaks in each frame [n, n_speakers], by the speaker of each piece. Where two people speak, each is the
    speaker of the nearest piece of the same chain. Pieces may lie before and after these frames."""
    found = np.zeros((len(active), int(who.max(initial=0)) + 1), bool)
    by_chain: dict[int, list[int]] = {}
    for i, piece in enumerate(pieces):
        found[max(0, piece.start) : max(0, piece.end), who[i]] = True
        by_chain.setdefault(piece.chain, []).append(i)
    covered = found.any(axis=1)
    several = active.sum(axis=1) > 1
    for stretch in stretches(active & (several | ~covered)[:, None], chains):
        near = by_chain.get(stretch.chain) or range(len(pieces))
        if near:
            found[stretch.start : stretch.end, who[_nearest(pieces, near, stretch)]] = True
        else:
            found[stretch.start : stretch.end, 0] = True
    return found


def as_turns(active: Activity, config: DiariserConfig, n_samples: int) -> list[Turn]:
    """The turns of each speaker, given who speaks in each frame [n, n_speakers]."""
    found: list[Turn] = []
    for speaker in range(active.shape[1]):
        edges = np.flatnonzero(np.diff(active[:, speaker].astype(np.int8), prepend=0, append=0)).reshape(-1, 2)
        merged: list[list[int]] = []
        for start, end in edges.tolist():
            if merged and start - merged[-1][1] <= config.gap_seconds * FRAMES_PER_SECOND:
                merged[-1][1] = end
            else:
                merged.append([start, end])
        found += [
            Turn(sample_of(start), min(sample_of(end), n_samples), speaker)
            for start, end in merged
            if end - start >= config.turn_seconds * FRAMES_PER_SECOND
        ]
    return sorted(found, key=lambda turn: (turn.start, turn.end))


def in_order_of_start(found: Sequence[Turn]) -> list[Turn]:
    """The same turns, with speakers numbered from 0 as they are heard first."""
    numbers: dict[int, int] = {}
    return [Turn(turn.start, turn.end, numbers.setdefault(turn.speaker, len(numbers))) for turn in found]
