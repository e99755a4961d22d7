"""The detector schedules, it never decides that sound was not speech: what it misses is heard all the same."""

import os
import random
from itertools import pairwise

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from benchmarks.oracle import Faults
from benchmarks.oracle_session import count_words, run_oracle
from benchmarks.scripted_speech import ScriptStyle, speak
from livecap.eval.modes import parse_mode
from livecap.eval.reference import SpokenWord
from livecap.model.checkpoint.load import resolve
from livecap.model.text.tokenizer import Tokenizer
from livecap.stream.config import ChunkConfig, StreamConfig
from livecap.transcript import SAMPLE_RATE

TOKENIZER = Tokenizer.from_folder(resolve("tiny"))
STYLE = ScriptStyle(pause_chance=0.12, pause_seconds=(0.3, 2.5), repeat_chance=0.0, word_seconds=(0.22, 0.55))
"""Words that are long enough to be told from clicks."""


def words_said(seed: int) -> list[SpokenWord]:
    return speak(90, seed, STYLE)


FEW = settings(max_examples=1500 if os.environ.get("LIVECAP_PROVE") else 8)
"""An example takes a quarter of a second."""


def third(words: list[SpokenWord], how: str, seed: int) -> list[SpokenWord]:
    """A third of the words: one stretch of them, short runs, or any."""
    chance, n = random.Random(seed), len(words) // 3
    if how == "stretch":
        first = chance.choice([0, n, len(words) - n, chance.randint(0, len(words) - n)])
        return words[first : first + n]
    if how == "runs":
        return [word for i, word in enumerate(words) if i // 4 % 3 == seed % 3]
    return chance.sample(words, n)


@FEW
@given(
    st.integers(0, 10**6),
    st.sampled_from(["stretch", "runs", "any"]),
    st.sampled_from(["default", "0.5", "2"]),
    st.sampled_from([0.05, 0.1, 0.3, 2.0]),
)
@example(65_254, "any", "default", 0.1)  # a word ended within 20 ms of where speech seemed to end
def test_no_word_is_lost_where_the_detector_misses_a_third_of_the_speech(
    seed: int, how: str, mode: str, block_seconds: float
) -> None:
    words = words_said(seed)
    session = run_oracle(
        words,
        TOKENIZER,
        parse_mode(mode, 0.05).config,
        Faults(),
        missed=third(words, how, seed),
        block_seconds=block_seconds,
        tail_seconds=0.1,
    )
    counted = count_words(words, session.text)
    assert (counted.lost, counted.invented, session.n_revisions) == ([], [], 0)


@pytest.mark.parametrize("mode", ["default", "2"])
def test_a_whole_recording_that_the_detector_calls_silence_is_heard(mode: str) -> None:
    words = words_said(7)
    session = run_oracle(words, TOKENIZER, parse_mode(mode, 0.05).config, Faults(), missed=words)
    counted = count_words(words, session.text)
    assert (counted.lost, counted.invented) == ([], [])


@FEW
@given(st.integers(0, 10**6), st.sampled_from(["stretch", "runs", "any"]), st.sampled_from(["default", "2"]))
def test_no_word_is_lost_where_listening_pauses_right_after_speech_that_the_detector_misses(
    seed: int, how: str, mode: str
) -> None:
    words = words_said(seed)
    missed = third(words, how, seed)
    spoken = {word.end_sample: following.start_sample for word, following in pairwise(words)}
    ends = [word.end_sample for word in missed if spoken.get(word.end_sample, 0) - word.end_sample > SAMPLE_RATE // 10]
    pauses = {end + SAMPLE_RATE // 20 for end in random.Random(seed).sample(ends, min(4, len(ends)))}
    config = parse_mode(mode, 0.05).config
    session = run_oracle(words, TOKENIZER, config, Faults(), missed=missed, pauses=pauses)
    counted = count_words(words, session.text)
    assert (counted.lost, counted.invented, session.n_revisions) == ([], [], 0)


@pytest.mark.parametrize("seed", [3, 5])
def test_no_word_is_lost_where_sound_comes_late_and_words_are_repeated(seed: int) -> None:
    """Speech without long pauses in blocks of 2 s: prompts roll at the short pauses in them."""
    style = ScriptStyle(pause_chance=0, pause_seconds=(0.3, 2.5), repeat_chance=0.2, word_seconds=(0.15, 0.5))
    words = speak(200, seed, style)
    session = run_oracle(words, TOKENIZER, StreamConfig(ChunkConfig(None, 1.0)), Faults(), block_seconds=2.0)
    counted = count_words(words, session.text)
    assert (counted.lost, counted.invented) == ([], []) and session.n_rolls
