"""Recordings are cut at pauses: no word is lost, doubled or cut in two, and no piece is longer than a prompt."""

import os
from bisect import bisect_left, bisect_right
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from benchmarks.scripted_speech import ScriptDetector, ScriptStyle, speak
from livecap.audio_in.vad import DetectorConfig, SpeechDetector, Vad
from livecap.eval.reference import SpokenWord, read_reference
from livecap.transcribe.cutter import MOST_SAMPLES, Cutter, Piece, halves_of
from livecap.transcript import SAMPLE_RATE

PROVE = bool(os.environ.get("LIVECAP_PROVE"))
N_CUTS = 10_000 if PROVE else 400
RECORDINGS = sorted((Path(__file__).parents[2] / "recordings").glob("*.flac"))
UNBROKEN = ScriptStyle(pause_chance=0.02, pause_seconds=(0.1, 0.5), repeat_chance=0.05, most_repeats=5)
STYLES = {"unbroken": UNBROKEN, "pauses": ScriptStyle(pause_chance=0.15), "silences": ScriptStyle(pause_chance=0.4)}


class NoLevels:
    """`LoudSound` for an oracle, whose sound is all zeros: the script's detector alone says where words are."""

    def append(self, start_sample: int, samples: NDArray[np.float32]) -> None:
        """There is nothing to hear."""

    def groups(self, start_sample: int, end_sample: int) -> list[tuple[int, int]]:
        return []

    spans = groups


def cut(cutter: Cutter, samples: NDArray[np.float32], block_samples: int = SAMPLE_RATE) -> list[Piece]:
    """The pieces of a sound that comes in blocks."""
    pieces: list[Piece] = []
    for at in range(0, len(samples), block_samples):
        pieces += cutter.hear(samples[at : at + block_samples])
    return [*pieces, *cutter.rest()]


def cut_script(words: list[SpokenWord], block_samples: int = 8 * SAMPLE_RATE) -> list[Piece]:
    """The pieces of a script, whose words are heard exactly."""
    silence = np.zeros(words[-1].end_sample + SAMPLE_RATE, np.float32)
    return cut(Cutter(ScriptDetector(words), NoLevels()), silence, block_samples)  # type: ignore[arg-type]


def heard(words: list[SpokenWord], pieces: list[Piece]) -> list[SpokenWord]:
    """The words that pieces hold as a whole, piece by piece, as a recogniser that makes no error would say them."""
    starts, ends = [word.start_sample for word in words], [word.end_sample for word in words]
    found: list[SpokenWord] = []
    for piece in pieces:
        found += words[bisect_left(starts, piece.start_sample) : bisect_right(ends, piece.end_sample)]
    return found


@pytest.mark.parametrize("style", STYLES)
def test_no_word_over_a_cut_is_lost_or_doubled(style: str) -> None:
    """With LIVECAP_PROVE, ten thousand cuts."""
    n_cuts, seed = 0, 0
    while n_cuts < N_CUTS / len(STYLES):
        words = speak(2000, seed, STYLES[style])
        pieces = cut_script(words)
        assert heard(words, pieces) == words, seed
        n_cuts, seed = n_cuts + len(pieces) - 1, seed + 1


@settings(max_examples=300 if PROVE else 15)
@given(
    st.integers(0, 2**31),
    st.builds(
        ScriptStyle,
        pause_chance=st.floats(0, 0.5),
        repeat_chance=st.floats(0, 0.3),
        gap_seconds=st.tuples(st.just(0.0), st.floats(0.05, 0.4)),
    ),
    st.integers(1, 40 * SAMPLE_RATE),
)
def test_pieces_are_bounded_ordered_and_the_same_for_all_blocks(seed: int, style: ScriptStyle, block: int) -> None:
    words = speak(60, seed, style)
    pieces = cut_script(words, max(block, 1000))
    spans = [(piece.start_sample, piece.end_sample) for piece in pieces]
    assert all(0 < end - start <= MOST_SAMPLES for start, end in spans)
    assert all(before[1] <= after[0] for before, after in zip(spans, spans[1:], strict=False))
    assert spans == [(piece.start_sample, piece.end_sample) for piece in cut_script(words)]
    assert heard(words, pieces) == words


@pytest.mark.parametrize("vad", Vad)
@pytest.mark.parametrize("path", RECORDINGS, ids=lambda path: path.stem)
def test_no_cut_lies_inside_a_word_of_the_recordings(path: Path, vad: Vad) -> None:
    """Voiceless beginnings and ends of words may be a few hundredths of a second longer than they are heard."""
    reference = read_reference(path)
    pieces = cut(Cutter(SpeechDetector(DetectorConfig(vad))), reference.samples)
    near = SAMPLE_RATE // 20
    inside = [
        word.text
        for piece in pieces
        for at in (piece.start_sample, piece.end_sample)
        for word in reference.words
        if word.start_sample + near < at < word.end_sample - near
    ]
    assert len(pieces) > 1 and inside == []
    kept = sum(
        any(piece.start_sample < (w.start_sample + w.end_sample) / 2 < piece.end_sample for piece in pieces)
        for w in reference.words
    )
    assert kept == len(reference.words), "a word was taken for silence"


def test_long_silence_belongs_to_no_piece() -> None:
    random = np.random.default_rng(1)
    loud = np.zeros(120 * SAMPLE_RATE, np.float32)
    loud[60 * SAMPLE_RATE : 62 * SAMPLE_RATE] = random.standard_normal(2 * SAMPLE_RATE) * 0.1
    [piece] = cut(Cutter(SpeechDetector()), loud)
    assert 59 * SAMPLE_RATE < piece.start_sample < 60 * SAMPLE_RATE
    assert 62 * SAMPLE_RATE < piece.end_sample < 63 * SAMPLE_RATE


def test_sound_without_a_pause_is_cut_at_its_quietest_moment() -> None:
    random = np.random.default_rng(2)
    sound = (random.standard_normal(20 * SAMPLE_RATE) * 0.1).astype(np.float32)
    quiet = slice(round(10.0 * SAMPLE_RATE), round(10.12 * SAMPLE_RATE))
    sound[quiet] *= 0.5
    first = cut(Cutter(AlwaysSpeech(), NoLevels()), sound)[0]  # type: ignore[arg-type]
    assert quiet.start < first.end_sample < quiet.stop


class AlwaysSpeech:
    """A detector for which everything is a voice."""

    def accept(self, block: object) -> None:
        """There is nothing to report."""

    def voiced_spans(self, start_sample: int, end_sample: int) -> list[tuple[int, int]]:
        return [(start_sample, end_sample)]


def test_sound_of_no_length_has_no_piece() -> None:
    assert cut(Cutter(SpeechDetector()), np.zeros(0, np.float32)) == []
    assert list(Cutter(SpeechDetector()).rest()) == []


@pytest.mark.parametrize(
    ("voiced", "middle"),
    [
        (((1, 3), (3.5, 5), (5.2, 9)), 3.25),  # the longest pause of the middle half, [2.5, 7.5)
        (((1, 4), (7, 9)), 5.5),
        (((1, 2), (4, 9)), 3.25),  # what lies before the middle half does not count
        (((1, 9),), 6.0),  # no pause: the quietest moment
        ((), 5.0),
    ],
)
def test_halves_meet_in_a_pause_of_the_middle(voiced: tuple[tuple[float, float], ...], middle: float) -> None:
    samples = np.random.default_rng(4).standard_normal(10 * SAMPLE_RATE).astype(np.float32)
    samples[round(5.95 * SAMPLE_RATE) : round(6.05 * SAMPLE_RATE)] *= 0.1
    start = 7 * SAMPLE_RATE
    spans = tuple((start + round(a * SAMPLE_RATE), start + round(b * SAMPLE_RATE)) for a, b in voiced)
    first, second = halves_of(Piece(start, samples, spans, is_doubtful=False))
    assert (first.start_sample, second.end_sample) == (start, start + len(samples))
    assert np.array_equal(np.concatenate([first.samples, second.samples]), samples)
    assert abs(first.end_sample - start - middle * SAMPLE_RATE) <= 320 and second.start_sample == first.end_sample
    cut = {first.end_sample}
    edges = {edge for span in (*first.voiced, *second.voiced) for edge in span}
    assert edges - cut == {edge for span in spans for edge in span}
